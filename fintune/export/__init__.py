"""A run as another program's model, proved: the registry FORMATS of writers (readers: inference.artifacts), merged weights."""
