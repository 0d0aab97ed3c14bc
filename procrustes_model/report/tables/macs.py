"""The computations of a network as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from procrustes_model.files import csv_text
from procrustes_model.network.macs import NetworkMacs
from procrustes_model.versions import VERSION_COLUMN

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "network": "name of the network",
        "layer": "name of the layer",
        "kind": "kind of the layer",
        "phase": "forward, backward or weight_update",
        "design": "name of the sparse design, or dense",
        "own_design": "the layer's own design in place of it; empty: none",
        "batch": "samples per training step",
        "macs": "multiply-accumulates if nothing were zero",
        "computes": "multiply-accumulates done",
        "bit_operations": "computes times the bits of both operands; empty: there are not two",
        "first_data_gradient": "true where the backward phase of the first layer is counted",
        **VERSION_COLUMN,
    }
)
"""Columns of the CSV, in order, and what they mean."""


def macs_text(result: NetworkMacs) -> str:
    """Return a row per layer, phase and design: `COLUMNS`."""
    return csv_text(list(COLUMNS), _rows(result))


def _rows(result: NetworkMacs) -> Iterator[dict[str, Any]]:
    for row in result.rows:
        yield {
            "network": result.network,
            "layer": row.layer,
            "kind": row.entry.kind,
            "phase": row.phase,
            "design": row.design,
            "own_design": row.entry.own,
            "batch": result.batch,
            "macs": row.computations.dense,
            "computes": row.computations.done,
            "bit_operations": row.computations.bit_operations,
            "first_data_gradient": "true" if result.first_data_gradient else "false",
        }
