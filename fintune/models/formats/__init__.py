"""Other people's layouts of weights and tokenizers, read; what writes them lies in export.formats."""
