"""The cost of a training run as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from procrustes_model.files import csv_text, json_text
from procrustes_model.network.result import Totals
from procrustes_model.network.train_result import TrainCost
from procrustes_model.spec.widths import bits_in_phase
from procrustes_model.versions import VERSION_COLUMN
from procrustes_model.vocabulary import PHASES

_GRADIENT = "first_data_gradient"

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "part": "number of the part, from 1; empty in the rows of dense training",
        "iterations": "training steps of the part",
        "weight_density": "weights kept / weights, of the whole network",
        "design": "names of the designs of its layers, that of most layers first",
        "dense_layers": "layers whose turn it is to be dense; empty: no partitions take turns",
        "at_once": "a number that parts share which run at the same time; empty: one after the other",
        "phase": "forward, backward or weight_update",
        "bits": "bits that the part states in the phase, such as Outputs=16;Weights=8; empty: none",
        "computes": "multiply-accumulates done in the phase in one training step",
        "dense_computes": "those in one step of dense training",
        "bit_operations": "those done times the bits of both operands; empty: an operation has not two",
        "dense_bit_operations": "those in one step of dense training",
        "energy_pj": "energy of the phase in one training step, in pJ; empty: only computations were counted",
        "cycles": "cycles of the phase in one training step; likewise",
        "dense_energy_pj": "energy of the phase in one step of dense training, in pJ; likewise",
        "dense_cycles": "cycles of the phase in one step of dense training; likewise",
        _GRADIENT: "true where the backward phase of the first layer is counted",
        **VERSION_COLUMN,
    }
)
"""Columns of the CSV, in order, and what they mean."""


def train_cost_text(cost: TrainCost) -> str:
    """Return a row per part and phase, with the cost of one training step: `COLUMNS`."""
    return csv_text(list(COLUMNS), part_records(cost))


def train_cost_json(cost: TrainCost) -> str:
    """Return a run as JSON: what it is, its parts as in the CSV, the sums of it and of dense training."""
    head = ("architecture", "network", "schedule", "design", "batch", "first_data_gradient", "macs")
    rows = [{key: value for key, value in row.items() if key != _GRADIENT} for row in part_records(cost)]
    data = {key: getattr(cost, key) for key in head} | {
        "iterations": cost.iterations,
        "weight_density": cost.weight_density,
        "parts": rows,
        "run": asdict(cost.computations()),
        "dense": asdict(cost.dense_computations()),
    }
    if not cost.macs:
        data["run"] |= {"energy_pj": cost.energy_pj, "cycles": cost.cycles}
        data["dense"] |= {"energy_pj": cost.dense_energy_pj, "cycles": cost.dense_cycles}
    return json_text(data)


def part_records(cost: TrainCost) -> Iterator[dict[str, Any]]:
    """Yield the rows of `train_cost_text` as plain data."""
    dense = {} if cost.macs else {phase: cost.dense.step(phase) for phase in PHASES}
    base = {phase: cost.dense.computations(phase) for phase in PHASES}
    for number, part in enumerate(cost.parts, 1):
        for phase in PHASES:
            bits, done = bits_in_phase(phase, {}, part=part.bits), part.computations(phase)
            step = None if cost.macs else part.step(phase)
            yield {
                "part": number,
                "iterations": part.iterations,
                "weight_density": float(part.weight_density),
                "design": ";".join(part.designs),
                "dense_layers": part.dense,
                "at_once": part.at_once,
                "phase": phase,
                "bits": ";".join(f"{name}={own}" for name, own in sorted(bits.items())),
                "computes": done.done,
                "dense_computes": base[phase].dense,
                "bit_operations": done.bit_operations,
                "dense_bit_operations": base[phase].bit_operations,
                _GRADIENT: "true" if cost.first_data_gradient else "false",
                **({} if step is None else _costs(step, dense[phase])),
            }


def _costs(step: Totals, dense: Totals) -> dict[str, Any]:
    return {
        "energy_pj": step.energy_pj,
        "cycles": step.cycles,
        "dense_energy_pj": dense.energy_pj,
        "dense_cycles": dense.cycles,
    }
