"""From an engine to answers (ENGINES; ARTIFACTS reads exports back): texts, files, explanations; what is rebuilt is compared first."""
