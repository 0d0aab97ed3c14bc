"""The sparse model: designs to arrays, kernels in order, results."""
