"""What a run becomes outside FinTune; so far its model card."""
