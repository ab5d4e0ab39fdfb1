"""Methods side by side: the same data, splits and budget, several seeds, and what of their differences is real."""
