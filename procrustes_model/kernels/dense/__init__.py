"""Kernels of the dense model: geometry of nests, transfers, accesses, what they cost."""
