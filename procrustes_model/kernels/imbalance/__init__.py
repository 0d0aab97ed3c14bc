"""Kernels for the work of processing elements that wait for each other."""
