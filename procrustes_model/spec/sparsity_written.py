"""From a sparse design back to what a file says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from procrustes_model.versions import with_version
from procrustes_model.vocabulary import PHASES

if TYPE_CHECKING:
    from procrustes_model.spec.sparsity import Action, SparsePhase, Sparsity


def write_sparsity(design: Sparsity) -> dict[str, Any]:
    """Return a sparse design as a file writes it; `load_sparsity` reads it back to an equal one.

    Sections in which all phases are alike are said once; masks stay the files that they are.
    """
    title = {key: getattr(design, key) for key in ("name", "description", "source") if getattr(design, key)}
    phases = {phase.value: _write_phase(design.phase(phase)) for phase in PHASES}
    first, *others = phases.values()
    shared = {key: value for key, value in first.items() if all(one.get(key) == value for one in others)}
    own = {
        name: {key: value for key, value in one.items() if key not in shared} for name, one in phases.items()
    }
    own = {name: one for name, one in own.items() if one}
    return with_version({"sparsity": title | shared | ({"phases": own} if own else {})})


def _write_phase(phase: SparsePhase) -> dict[str, Any]:
    """Return the sections of a phase that say anything."""
    sections = {
        "densities": {name: one.model_dump(exclude_none=True) for name, one in phase.densities.items()},
        "formats": {
            name: {level: _write_format(one.model_dump()) for level, one in by_level.items()}
            for name, by_level in phase.formats.items()
        },
        "actions": [_write_action(one) for one in phase.actions],
        "compute": phase.compute.model_dump(exclude_defaults=True),
        "balancing": phase.balancing.model_dump(exclude_defaults=True),
        "capacity": phase.capacity.model_dump(exclude_defaults=True),
        "rules": phase.rules.model_dump(exclude_defaults=True),
    }
    return {key: _plain(value) for key, value in sections.items() if value}


def _write_format(dump: dict[str, Any]) -> dict[str, Any]:
    """Return a format without what holds anyway."""
    if dump.get("begin") == "outermost":
        del dump["begin"]
    return dump


def _plain(value: Any) -> Any:
    """Return nested data with lists in place of tuples, as files have them."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _write_action(action: Action) -> dict[str, Any]:
    """Return an action as a file says it: its kind with the tensor."""
    leaders = {"on": list(action.on)} if action.on else {}
    return {"level": action.level, action.kind: action.target} | leaders
