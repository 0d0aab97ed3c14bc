"""Closed forms: every count as a formula in loop bounds."""
