"""How many processors may be used."""

from __future__ import annotations

import os


def count_processors() -> int:
    """Return how many processors this process may use, as far as the platform tells; at least 1."""
    if hasattr(os, "sched_getaffinity"):  # Linux; elsewhere processes are not tied to processors
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
