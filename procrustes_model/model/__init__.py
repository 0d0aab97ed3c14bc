"""From specs to numbers: lower to arrays, call kernels, lift to a `Result`."""
