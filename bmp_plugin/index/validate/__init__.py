"""What must hold of the files of an index before kernels, which check no bounds, may read them."""
