"""From a config to a run folder: train, check, plan; the loop over batches, checkpoints, resuming."""
