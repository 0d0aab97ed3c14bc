"""What a person or another program reads: loop nests, tables, CSV, JSON. Knows results, computes nothing."""
