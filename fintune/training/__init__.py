"""From a config to a run folder: train, check, plan, with the loss at answer positions only."""
