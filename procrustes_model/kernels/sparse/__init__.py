"""Kernels of the sparse model: what zeros save, how they are stored, what is left."""
