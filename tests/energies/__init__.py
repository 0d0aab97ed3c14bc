"""Tests of figures from tables."""
