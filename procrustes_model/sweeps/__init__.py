"""Sweeps: one question asked for many values, each search once, and the front of the answers."""
