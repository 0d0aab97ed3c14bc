"""Shortens the walks that every search begins with where kernels are plain Python."""

from __future__ import annotations

import pytest

from procrustes_model.kernels.cache import COMPILED
from procrustes_model.mapper import sparse_cost
from procrustes_model.mapper.imperfect import walk
from procrustes_model.mapper.optimal import labels, search


@pytest.fixture(autouse=True)
def short_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first walks of a search be a few steps long, unless kernels are compiled."""
    if not COMPILED:
        monkeypatch.setattr(search, "WALK", 200)
        monkeypatch.setattr(search, "SPARSE_WALK", 40)
        monkeypatch.setattr(labels, "BATCH", 64)
        monkeypatch.setattr(sparse_cost, "BATCH", 64)
        monkeypatch.setattr(walk, "STEPS", 20)
