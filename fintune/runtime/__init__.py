"""The process, the machine and the disk: files, caches, threads, memory, signals; knows nothing of models or data."""
