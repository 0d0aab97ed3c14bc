"""The tidy table of results: a row per level, tensor and action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from procrustes_model.files import csv_text
from procrustes_model.versions import VERSION_COLUMN

TIDY_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "architecture": "name of the architecture",
        "problem": "name of the problem",
        "phase": "forward, backward or weight_update; empty where the problem has none",
        "level": "storage level, or the compute level in the row of the computes",
        "tensor": "tensor; empty in the row of the computes",
        "action": "read, fill (written from the level above), update (written from below), compute, `use` "
        "of a component, `leak`, or `network`: what goes over the network below the level, its `count` the "
        "bits that enter one",
        "count": "words (for compute: operations) of one used instance",
        "instances": "instances of the level that the mapping uses",
        "energy_pj": "energy of this action over all used instances, in pJ",
        **VERSION_COLUMN,
    }
)
"""Columns of the tidy table, in order, and what they mean."""


def records_text(records: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as `Result.to_records` gives them as CSV; columns: `TIDY_COLUMNS`."""
    return csv_text(list(TIDY_COLUMNS), records)
