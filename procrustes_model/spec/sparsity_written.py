"""From a sparse design back to what a file says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from procrustes_model.versions import with_version
from procrustes_model.vocabulary import PHASES


def write_sparsity(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sparse design as a file writes it; `load_sparsity` reads it back to an equal one.

    Sections in which all phases are alike are said once; masks stay the files that they are.

    Parameters
    ----------
    dump : mapping
        As `Sparsity.model_dump` returns it, without defaults.
    """
    title = {key: value for key, value in dump.items() if key not in PHASES}
    phases = {phase.value: _write_phase(dump[phase.value]) for phase in PHASES}
    first, *others = phases.values()
    shared = {key: value for key, value in first.items() if all(one.get(key) == value for one in others)}
    own = {
        name: {key: value for key, value in one.items() if key not in shared} for name, one in phases.items()
    }
    own = {name: one for name, one in own.items() if one}
    return with_version({"sparsity": title | shared | ({"phases": own} if own else {})})


def _write_phase(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections of a phase that say anything."""
    sections = {key: _plain(value) for key, value in dump.items() if value}
    if "actions" in sections:
        sections["actions"] = [_write_action(one) for one in sections["actions"]]
    return sections


def _plain(value: Any) -> Any:
    """Return nested data with lists in place of tuples, and without what is not said."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _write_action(action: dict[str, Any]) -> dict[str, Any]:
    """Return an action as a file says it: its kind with the tensor."""
    leaders = {"on": action["on"]} if action["on"] else {}
    return {"level": action["level"], action["kind"]: action["target"]} | leaders
