"""CSV and JSON for other programs."""
