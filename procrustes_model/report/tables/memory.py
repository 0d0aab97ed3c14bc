"""What training keeps off the chip as CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from procrustes_model.files import csv_text
from procrustes_model.network.memory import PARTS, TrainingMemory
from procrustes_model.versions import CSV_VERSION, KEY, VERSION_COLUMN

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "network": "name of the network",
        "batch": "samples per training step",
        "layer": "the layer at work; empty of the update of all weights",
        "phase": "forward, again (forward, once more), backward (with the layer's weight update), or update",
        **{f"{part.replace(' ', '_')}_bits": f"{part} that are live, in bits" for part in PARTS},
        "total_bits": "all of them",
        "peak": "true of the first moment at which most is live",
        **VERSION_COLUMN,
    }
)
"""Columns of the CSV, in order, and what they mean: a row per moment of a training step."""


def memory_text(memory: TrainingMemory) -> str:
    """Return the CSV; columns: `COLUMNS`."""
    return csv_text(list(COLUMNS), _rows(memory))


def memory_json(memory: TrainingMemory) -> str:
    """Return everything as JSON."""
    data = {"format": "procrustes_memory", KEY: CSV_VERSION, **memory.to_dict()}
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _rows(memory: TrainingMemory) -> Iterator[dict[str, Any]]:
    peak = memory.peak
    for moment in memory.moments:
        yield {
            "network": memory.network,
            "batch": memory.batch,
            "layer": moment.layer,
            "phase": moment.phase,
            **{f"{part.replace(' ', '_')}_bits": bits for part, bits in moment.bits.items()},
            "total_bits": moment.total,
            "peak": "true" if moment is peak else "false",
        }
