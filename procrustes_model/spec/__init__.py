"""What a user writes: architectures, problems, mappings; validated and immutable.

No cost is computed here, and nothing here knows of kernels.
"""
