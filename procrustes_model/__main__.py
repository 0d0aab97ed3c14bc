"""``python -m procrustes_model`` is the same as ``procrustes``."""

from procrustes_model.cli import main

main()
