"""Kernels for loops that are shorter in the last pass over their dimension."""
