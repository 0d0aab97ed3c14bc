"""Files of other tools, recognised so that every reader can name the command that translates them."""

from __future__ import annotations

from typing import Any

FOREIGN = ("this is a file of Timeloop", "translate it: procrustes import timeloop FILES --out DIR")
"""The message about such a file, and its hint."""

FOREIGN_TAGS = frozenset(
    f"!{name}"
    for name in (
        "Container",
        "Component",
        "Parallel",
        "Hierarchical",
        "Pipelined",
        "Nothing",
        "ArrayContainer",
    )
)

_KEYS = frozenset(
    (
        "arch",
        "ERT",
        "ART",
        "compound_components",
        "architecture_constraints",
        "mapspace_constraints",
        "mapspace",
        "mapper",
        "sparse_optimizations",
    )
)
_OWN = ("architecture", "problem", "mapping")


def is_foreign(data: Any) -> bool:
    """Say whether the content of a file is that of a Timeloop file and not this program's.

    Parameters
    ----------
    data : Any
        As `parse_yaml` returns it.
    """
    if not isinstance(data, dict):
        return False
    machine, problem, mapping = (data.get(key) for key in _OWN)
    if isinstance(machine, dict) and ("subtree" in machine or "nodes" in machine):
        return True
    if isinstance(problem, dict) and ("instance" in problem or _has_data_spaces(problem.get("shape"))):
        return True
    if isinstance(mapping, list):
        return any(isinstance(one, dict) and "target" in one for one in mapping)
    return not any(key in data for key in _OWN) and not _KEYS.isdisjoint(data)


def _has_data_spaces(shape: Any) -> bool:
    return isinstance(shape, dict) and ("data-spaces" in shape or "data_spaces" in shape)
