"""Searches among mappings whose tensors of a level may have their tiles at several of its loops."""
