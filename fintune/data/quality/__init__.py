"""What is wrong with data: duplicates, leaks, doubtful labels, personal data, licenses."""
