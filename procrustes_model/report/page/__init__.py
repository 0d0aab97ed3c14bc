"""A run as one self-contained HTML page, and the files that repeat it."""
