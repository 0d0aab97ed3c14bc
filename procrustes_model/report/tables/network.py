"""A run of a network as CSV; see `files.csv_text` for how numbers are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from procrustes_model.files import csv_text, write_atomically
from procrustes_model.files import json_text as plain_json
from procrustes_model.model.time import TIME_COLUMNS
from procrustes_model.network.result import NetworkResult, Totals
from procrustes_model.network.system import system_of
from procrustes_model.report.tables.csv import MACHINE_AREA, WORK_SPREAD, area_row
from procrustes_model.versions import VERSION_COLUMN
from procrustes_model.vocabulary import Searched

ALL = "all"

TIDY_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "architecture": "name of the architecture",
        "network": "name of the network",
        "layer": "name of the layer",
        "phase": "forward, backward or weight_update",
        "design": "name of the sparse design, or dense",
        "level": "storage level, compute level, balancing or a component",
        "tensor": "tensor; empty where there is none",
        "action": "read, fill, update, compute; metadata_, gated_ and skipped_ of these; pointer_read; use; "
        "leak; network",
        "count": "words, operations or uses of one used instance",
        "instances": "instances that the mapping uses",
        "energy_pj": "energy of this action over all used instances, in pJ",
        **VERSION_COLUMN,
    }
)
"""Columns of ``tidy.csv``: a row per layer, phase, design, level, tensor and action."""

LAYER_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "architecture": "name of the architecture",
        "network": "name of the network",
        "layer": "name of the layer",
        "kind": "conv, grouped, depthwise, fully_connected, matmul, problem or elementwise",
        "machine": "what the network calls the machine that runs it, or the architecture's name",
        "phase": "forward, backward or weight_update",
        "design": "name of the sparse design, or dense",
        "own_design": "name of the layer's own design in place of it; empty: none",
        "batch": "samples per training step",
        "macs": "multiply-accumulates if nothing were zero",
        "computes": "multiply-accumulates done",
        "operations": "operations of an elementwise layer; empty of others",
        "energy_pj": "energy, in pJ",
        "cycles": "cycles",
        "edp_j_cycles": "energy-delay product: joules times cycles",
        "utilization": "computes / those that all units could do in these cycles",
        "array_utilization": "compute units used / those that exist",
        "bottleneck": "what sets the cycles",
        "density_weights": "nonzeros / weights, where the design has zeros in them in this phase",
        "density_inputs": "nonzeros / input activations, likewise",
        "density_outputs": "nonzeros / output gradients, likewise",
        "bits_weights": "bits of an element, where they are not everywhere the level's word",
        "bits_inputs": "the same of input activations, or of their gradients in the backward phase",
        "bits_outputs": "the same of outputs, or of their gradients in the other phases",
        "activations_assumed": "true where the density of activations is not known",
        "imbalance_before": "work of the slowest processing element / the mean",
        "imbalance_after": "the same after balancing",
        "work_spread": WORK_SPREAD,
        "proven": f"true where no mapping with {Searched.WHOLE} that the constraints allow is better",
        "gap": "most that can be saved, (objective - lower bound) / objective; empty: no bound is known",
        "dataflow": "how the dataflow was bent to fit; empty: not",
        "case": "key of the search, shared by layers of equal shape",
        **VERSION_COLUMN,
    }
)
"""Columns of ``layers.csv``, a row per layer, phase and design; then ``energy_pj_<level>``, which add up to
``energy_pj``."""

TOTAL_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "architecture": "name of the architecture",
        "network": "name of the network",
        "phase": "forward, backward, weight_update or all",
        "design": "name of the sparse design, or dense",
        "batch": "samples per training step",
        "macs": "multiply-accumulates if nothing were zero",
        "computes": "multiply-accumulates done",
        "energy_pj": "energy, in pJ",
        "cycles": "cycles, one layer and phase after the other",
        "edp_j_cycles": "energy times cycles of the sums",
        "utilization": "computes / those that all units could do in these cycles",
        "rows": "layers and phases summed",
        "proven": f"those whose mapping is proven the best of those with {Searched.WHOLE}",
        "gap": "the largest of the others; empty: no bound is known",
        "ideal": "layers and phases whose work_spread is 'even (ideal)'",
        "first_data_gradient": "true where the backward phase of the first layer is counted",
        **MACHINE_AREA,
        **VERSION_COLUMN,
    }
)
"""Columns of ``totals.csv``, a row per phase and design; then ``energy_pj_<level>``, and `TIME_COLUMNS` where
the machine has a clock."""

RATIO_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "architecture": "name of the architecture",
        "network": "name of the network",
        "layer": "name of the layer, or all",
        "phase": "forward, backward, weight_update or all",
        "design": "name of the design",
        "baseline": "name of the baseline",
        "energy_pj": "energy of the design, in pJ",
        "baseline_energy_pj": "energy of the baseline, in pJ",
        "energy_ratio": "baseline_energy_pj / energy_pj",
        "cycles": "cycles of the design",
        "baseline_cycles": "cycles of the baseline",
        "cycles_ratio": "baseline_cycles / cycles",
        "first_data_gradient": "true where the backward phase of the first layer is counted",
        **VERSION_COLUMN,
    }
)
"""Columns of ``ratios.csv``: a row per layer and phase, then for all layers."""


SYSTEM_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "network": "name of the network",
        "part": "a machine as the network calls it, what goes over its link, such as all-reduce, or all",
        "kind": "machine, link or all",
        "phase": "forward, backward, weight_update or all",
        "design": "name of the sparse design, or dense",
        "replicas": "machines that do the same",
        "energy_pj": "energy, of all replicas, in pJ",
        "cycles": "cycles of the machine; empty of links",
        "elements": "elements that cross, of one replica; empty of machines",
        "bits_per_element": "of an element that crosses",
        "bits": "bits that cross, of all replicas",
        "seconds": "time at the clock of the machine, or of the link; empty: not known",
        **VERSION_COLUMN,
    }
)
"""Columns of ``system.csv``, of networks with several machines or a link: a row per machine, link, phase and
design, then their sums."""


def tidy_text(result: NetworkResult) -> str:
    """Return ``tidy.csv``; columns: `TIDY_COLUMNS`."""
    return csv_text(list(TIDY_COLUMNS), _tidy(result))


def layers_text(result: NetworkResult) -> str:
    """Return ``layers.csv``; columns: `LAYER_COLUMNS`, then ``energy_pj_<level>``."""
    flags = ("activations_assumed", "proven")
    rows = ({**row, **{name: _flag(row[name]) for name in flags}} for row in layer_records(result))
    return csv_text([*LAYER_COLUMNS, *_energy_columns(result)], rows)


def totals_text(result: NetworkResult) -> str:
    """Return ``totals.csv``; columns: `TOTAL_COLUMNS`, ``energy_pj_<level>``, `TIME_COLUMNS` with a clock."""
    timed = () if result.clock_ghz is None else TIME_COLUMNS
    return csv_text([*TOTAL_COLUMNS, *_energy_columns(result), *timed], _totals(result))


def ratios_text(result: NetworkResult) -> str:
    """Return ``ratios.csv``; columns: `RATIO_COLUMNS`.

    Raises
    ------
    SpecError
        When the run has no baseline.
    """
    return csv_text(list(RATIO_COLUMNS), _ratios(result))


def system_text(result: NetworkResult) -> str:
    """Return ``system.csv``; columns: `SYSTEM_COLUMNS`."""
    return csv_text(list(SYSTEM_COLUMNS), _system(result))


def json_text(result: NetworkResult) -> str:
    """Return the rows of ``totals.csv`` and ``layers.csv`` as JSON, with what they are of."""
    head = {"batch": result.batch, "designs": result.designs, "objective": result.objective}
    rows = {"totals": list(_totals(result)), "layers": list(layer_records(result))}
    return plain_json(_head(result) | head | rows)


def write_tables(result: NetworkResult, folder: Path) -> list[Path]:
    """Write all tables of a run, and return their files.

    Raises
    ------
    OSError
        When one cannot be written.
    """
    texts = {
        "tidy.csv": tidy_text(result),
        "layers.csv": layers_text(result),
        "totals.csv": totals_text(result),
    }
    if result.baseline:
        texts["ratios.csv"] = ratios_text(result)
    if result.links or len(result.machines) > 1:
        texts["system.csv"] = system_text(result)
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]


def _energy_columns(result: NetworkResult) -> list[str]:
    # A dict keeps the order of first appearance, which a set would not.
    names = dict.fromkeys(name for row in result.rows for name in row.case.energy_by_level)
    return [f"energy_pj_{name}" for name in names]


def _head(result: NetworkResult) -> dict[str, Any]:
    return {"architecture": result.architecture, "network": result.network}


def _tidy(result: NetworkResult) -> Iterator[dict[str, Any]]:
    for row in result.rows:
        head = _head(result) | {"layer": row.layer, "phase": row.phase, "design": row.design}
        for action in row.case.rows:
            yield head | action


def layer_records(result: NetworkResult) -> Iterator[dict[str, Any]]:
    """Yield the rows of `layers_text` as plain data."""
    for row in result.rows:
        case, entry = row.case, row.entry
        imbalance = case.imbalance or {}
        bits = case.result.get("bits", {})
        yield _head(result) | {
            "layer": row.layer,
            "kind": entry.kind,
            "machine": entry.machine or result.architecture,
            "phase": row.phase,
            "design": row.design,
            "own_design": entry.own,
            "batch": result.batch,
            "macs": row.macs,
            "computes": row.computes,
            "operations": row.operations or None,
            "energy_pj": case.energy_pj,
            "cycles": case.cycles,
            "edp_j_cycles": case.edp_j_cycles,
            "utilization": case.utilization,
            "array_utilization": case.result["array_utilization"],
            "bottleneck": case.result["bottleneck"],
            "density_weights": entry.densities.get("Weights"),
            "density_inputs": entry.densities.get("Inputs"),
            "density_outputs": entry.densities.get("Outputs"),
            "bits_weights": bits.get("Weights"),
            "bits_inputs": bits.get("Inputs"),
            "bits_outputs": bits.get("Outputs"),
            "activations_assumed": entry.assumed,
            "imbalance_before": imbalance.get("before"),
            "imbalance_after": imbalance.get("after"),
            "work_spread": case.work_spread,
            "proven": case.proven,
            "gap": case.gap,
            "dataflow": entry.note,
            "case": case.key,
            **{f"energy_pj_{name}": energy for name, energy in case.energy_by_level.items()},
        }


def _totals(result: NetworkResult) -> Iterator[dict[str, Any]]:
    area = area_row(result.area)
    for design in result.designs:
        for phase in (*result.phases, None):
            total: Totals = result.totals(design, phase)
            time = total.time(result.clock_ghz)
            yield _head(result) | {
                "phase": phase or ALL,
                "design": design,
                "batch": result.batch,
                "macs": total.macs,
                "computes": total.computes,
                "energy_pj": total.energy_pj,
                "cycles": total.cycles,
                "edp_j_cycles": total.edp_j_cycles,
                "utilization": total.utilization,
                "rows": total.rows,
                "proven": total.proven,
                "gap": total.gap,
                "ideal": total.ideal,
                "first_data_gradient": _flag(result.first_data_gradient),
                **area,
                **{f"energy_pj_{name}": energy for name, energy in total.energy_by_level.items()},
                **({} if time is None else time.to_dict()),
            }


def _ratios(result: NetworkResult) -> Iterator[dict[str, Any]]:
    for layer in (*result.layers, None):
        for phase in (*result.phases, None):
            if not result.select(result.design, phase, layer):
                continue
            ratio = result.ratio(phase, layer)
            ours, theirs = (result.totals(design, phase, layer) for design in result.designs)
            yield _head(result) | {
                "layer": layer or ALL,
                "phase": phase or ALL,
                "design": result.design,
                "baseline": result.baseline,
                "energy_pj": ours.energy_pj,
                "baseline_energy_pj": theirs.energy_pj,
                "energy_ratio": ratio.energy,
                "cycles": ours.cycles,
                "baseline_cycles": theirs.cycles,
                "cycles_ratio": ratio.cycles,
                "first_data_gradient": _flag(result.first_data_gradient),
            }


def _system(result: NetworkResult) -> Iterator[dict[str, Any]]:
    for design in result.designs:
        for phase in (*result.phases, None):
            system = system_of(result, design, phase)
            head = {"network": result.network, "design": design, "phase": phase or ALL}
            for one in system.machines:
                own = {"part": one.name, "kind": "machine", "replicas": one.replicas}
                yield (
                    head
                    | own
                    | {
                        "energy_pj": one.energy_pj,
                        "cycles": one.totals.cycles,
                        "seconds": one.seconds,
                    }
                )
            for link in () if phase is None else system.links:
                sent = {"elements": link.elements, "bits_per_element": link.bits_per_element}
                yield (
                    head
                    | sent
                    | {
                        "part": link.name,
                        "kind": "link",
                        "replicas": result.replicas,
                        "energy_pj": link.energy_pj,
                        "bits": link.bits,
                        "seconds": link.seconds,
                    }
                )
            both = {"part": ALL, "kind": ALL, "replicas": result.replicas}
            yield head | both | {"energy_pj": system.energy_pj, "seconds": system.seconds}


def _flag(value: bool) -> str:
    return "true" if value else "false"
