"""Text to plain data that knows its place: YAML, words, expressions."""
