"""What all layers use and no caller imports: compilation of kernels, files, locks, threads and progress."""
