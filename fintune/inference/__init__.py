"""From an engine to answers (ENGINES; ARTIFACTS: how exports are read back): texts, files, explanations; what is rebuilt is compared first."""
