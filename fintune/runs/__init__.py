"""What is on disk: run folders and exports, made, locked, their files and cards, checked, resumed."""
