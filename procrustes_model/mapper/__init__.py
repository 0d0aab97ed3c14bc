"""Search for the best mapping: the space of mappings, constraints on it, and ways to search it."""
