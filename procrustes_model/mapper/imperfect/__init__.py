"""Searches among mappings with shorter last passes."""
