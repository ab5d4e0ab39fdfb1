"""A run's settings: all sections, read from YAML or found in data, validated at once, written out; code of one's own (plugins)."""
