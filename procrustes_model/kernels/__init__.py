"""Numba kernels: flat arrays in, flat arrays out; no specs, no Python objects, no I/O.

Importing a module of this package imports numba and is slow; only `procrustes_model.model` and
`procrustes_model.mapper` do so, and only when they evaluate.
"""
