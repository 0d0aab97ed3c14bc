"""Sets of Timeloop's files with that tool's output, as `check_timeloop.py` compares them."""
