"""What is on disk: run folders and exports, made, locked, their files checked, resumed."""
