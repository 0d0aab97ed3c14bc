"""A run as one self-contained HTML page: data for templates, and the files that repeat the run."""
