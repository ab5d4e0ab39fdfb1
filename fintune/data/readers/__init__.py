"""Files to rows: formats, encodings, columns."""
