"""The cost of a training run as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from procrustes_model.files import csv_text
from procrustes_model.network.train_cost import TrainCost
from procrustes_model.spec.widths import bits_in_phase
from procrustes_model.versions import VERSION_COLUMN
from procrustes_model.vocabulary import PHASES

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "part": "number of the part, from 1; empty in the rows of dense training",
        "iterations": "training steps of the part",
        "weight_density": "weights kept / weights, of the whole network",
        "phase": "forward, backward or weight_update",
        "bits": "bits that the part states in the phase, such as Outputs=16;Weights=8; empty: none",
        "energy_pj": "energy of the phase in one training step, in pJ",
        "cycles": "cycles of the phase in one training step",
        "dense_energy_pj": "energy of the phase in one step of dense training, in pJ",
        "dense_cycles": "cycles of the phase in one step of dense training",
        **VERSION_COLUMN,
    }
)
"""Columns of the CSV, in order, and what they mean."""


def train_cost_text(cost: TrainCost) -> str:
    """Return a row per part and phase, with the cost of one training step: `COLUMNS`."""
    return csv_text(list(COLUMNS), part_records(cost))


def part_records(cost: TrainCost) -> Iterator[dict[str, Any]]:
    """Yield the rows of `train_cost_text` as plain data."""
    dense = {phase: cost.dense.step(phase) for phase in PHASES}
    for number, part in enumerate(cost.parts, 1):
        for phase in PHASES:
            step, bits = part.step(phase), bits_in_phase(phase, {}, part=part.bits)
            yield {
                "part": number,
                "iterations": part.iterations,
                "weight_density": float(part.weight_density),
                "phase": phase,
                "bits": ";".join(f"{name}={own}" for name, own in sorted(bits.items())),
                "energy_pj": step.energy_pj,
                "cycles": step.cycles,
                "dense_energy_pj": dense[phase].energy_pj,
                "dense_cycles": dense[phase].cycles,
            }
