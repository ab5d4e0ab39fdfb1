"""What a run becomes outside FinTune: formats, each proved, and cards."""
