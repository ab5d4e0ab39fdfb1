"""Files to rows: the registry READERS of formats, encodings, columns."""
