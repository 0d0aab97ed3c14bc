"""Problem shapes and problems that ship, as YAML."""
