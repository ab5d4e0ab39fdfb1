"""From an engine to answers: texts, files, explanations; runs and exports opened and compared with what was stored."""
