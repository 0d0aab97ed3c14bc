"""The questions of the Procrustes evaluation, each with a table, a CSV and a figure."""
