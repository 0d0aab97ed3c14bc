"""Tests of the documentation: its examples run, its reference is complete."""
