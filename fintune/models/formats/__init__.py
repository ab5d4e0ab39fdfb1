"""Other people's layouts of weights and tokenizers, read."""
