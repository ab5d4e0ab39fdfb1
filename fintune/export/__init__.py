"""A run as another program's model, proved: formats, merged weights, combined adapters, cards."""
