"""One file a format that is written for other programs."""
