"""Tests of the sparse model."""
