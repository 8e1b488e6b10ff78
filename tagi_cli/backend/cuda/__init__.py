"""NVIDIA GPUs: kernels through CuPy, products through cuBLAS."""
