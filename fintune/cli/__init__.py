"""The terminal: commands, options, progress, errors; nothing here is needed from Python."""
