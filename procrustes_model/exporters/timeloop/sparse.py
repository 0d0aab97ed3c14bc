"""What zeros save, as sparse optimizations of Timeloop 0.4."""

from __future__ import annotations

from typing import Any

from procrustes_model.exporters.timeloop.model import Model
from procrustes_model.spec.format_ranks import FormatRank
from procrustes_model.spec.sparsity import Format

_ACTIONS = {"gate": "gating", "skip": "skipping", "skip_space": "skipping_spatial"}
"""By the kind of an action; what is not here cannot be said."""

_FIELDS = (("metadata_bits", "metadata_word_bits"), ("payload_bits", "payload_word_bits"))
_OF_LEVEL = "UB"
"""A rank whose bits are those of the level in that tool."""


def write_design(model: Model) -> dict[str, Any] | None:
    """Return the optimizations of all levels; None where there is none."""
    targets = []
    for level in model.architecture.levels:
        found: dict[str, Any] = {}
        spaces = [
            _space(tensor.name, format_)
            for tensor in model.problem.tensors
            if (format_ := model.format_of(tensor.name, level.name)) and format_.ranks and level.stores
        ]
        if spaces:
            found["representation_format"] = {"data_spaces": spaces}
        actions = [
            {
                "type": _ACTIONS[action.kind],
                "options": [{"target": action.target, "condition_on": list(action.on)}],
            }
            for action in model.phase.actions
            if action.level == level.name and action.kind in _ACTIONS
        ]
        if actions:
            found["action_optimization"] = actions
        if found:
            targets.append({"name": level.name} | found)
    compute = model.phase.compute
    kinds = [{"type": _ACTIONS[kind]} for kind in ("gate", "skip") if getattr(compute, kind)]
    if kinds:
        targets.append({"name": model.architecture.compute.name, "compute_optimization": kinds})
    return {"sparse_optimizations": {"targets": targets}} if targets else None


def _space(tensor: str, format_: Format) -> dict[str, Any]:
    found: dict[str, Any] = {"name": tensor, "ranks": [_rank(rank) for rank in format_.ranks]}
    return found | ({"rank_application_order": "inner_to_outer"} if format_.begin == "innermost" else {})


def _rank(rank: FormatRank) -> dict[str, Any]:
    found: dict[str, Any] = {"format": rank.kind}
    if rank.groups:
        found["flattened_rankIDs"] = [list(group) for group in rank.groups]
    for mine, theirs in _FIELDS:
        bits = getattr(rank, mine)
        if bits is not None and rank.kind != _OF_LEVEL:
            found[theirs] = bits
    return found
