"""Tests of running whole networks."""
