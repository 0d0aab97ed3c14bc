"""Tests that every balancing policy passes; a new one is found by itself."""
