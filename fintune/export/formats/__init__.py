"""One file a format that is written for other programs; what reads them again lies in models.formats and inference.engines."""
