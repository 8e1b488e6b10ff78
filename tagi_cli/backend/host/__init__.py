"""The CPU's compiled kernels: compiling, loading, running."""
