"""Many mappings at once, one in each lane of a vector: machine code made for the shape of a design."""
