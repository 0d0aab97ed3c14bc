"""Files of other tools, written from specifications of this program."""
