"""A model with the part of its vocabulary that a task needs: chosen (vocabulary), rewritten (tokenizer_file, weights)."""
