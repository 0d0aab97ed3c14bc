"""Kernels of the algorithm that prunes weights while it trains."""
