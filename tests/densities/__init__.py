"""Tests that every density model passes; a new one is found by itself."""
