"""A run's settings: all sections, read from YAML, overridden, validated at once, written out."""
