"""The fast path: length-bucketed batches, loss at answer positions only, and the Trainer that runs them."""
