"""The Trainer that runs on answer positions: batches of like length, losses, checkpoints, what it tells on the way."""
