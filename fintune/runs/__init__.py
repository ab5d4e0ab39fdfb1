"""What is on disk: run folders and exports, made, locked, checked, resumed."""
