"""Files of other tools, translated into this program's own."""
