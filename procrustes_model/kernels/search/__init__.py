"""Kernels of the searches: labels, bounds, walks."""
