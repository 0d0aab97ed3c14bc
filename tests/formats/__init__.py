"""Tests of storage formats, all of them at once."""
