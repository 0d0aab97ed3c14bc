"""Energies, areas and leakage of parts by their class, from tables that ship with their provenance."""
