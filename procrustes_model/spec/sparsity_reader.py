"""From a sparse design as written, with shorthands and overrides by phase, to a `Sparsity`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, cast

from procrustes_model.formats import takers_of
from procrustes_model.spec.rules import Rules
from procrustes_model.spec.schema import Origin, build
from procrustes_model.spec.sparsity import SparsePhase, Sparsity
from procrustes_model.spec.text.document import Document, unknown_key
from procrustes_model.spec.text.words import PAIRS, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.vocabulary import PHASES

_TITLE = ("name", "description", "source")
_SECTIONS = tuple(SparsePhase.model_fields)
_MERGED = ("densities", "formats")
_Test = Callable[[SparsePhase], bool]
_ACTION_KINDS = ("skip", "gate", "skip_space", "skip_positions")
_ACTION_KEYS = ["level", *_ACTION_KINDS, "on"]


def read_sparsity(document: Document) -> Sparsity:
    """Return the design that a document describes.

    Parameters
    ----------
    document : Document
        With the one top-level key `sparsity`. Its sections hold for all phases; those under `phases`
        replace them in one phase, densities and formats tensor by tensor.

    Returns
    -------
    Sparsity

    Raises
    ------
    SpecError
        With every issue found.
    """
    content = document.section("sparsity")
    path: Path = ("sparsity",)
    for key in content:
        if key not in (*_TITLE, *_SECTIONS, "phases"):
            unknown_key(document, (*path, key), [*_TITLE, *_SECTIONS, "phases"])
    shared = _phase({key: content[key] for key in _SECTIONS if key in content}, path, document)
    overrides = _overrides(content.get("phases"), document)
    title = {key: content[key] for key in _TITLE if key in content}
    blank = {phase.value: SparsePhase() for phase in PHASES}
    build(Sparsity, {**title, **blank}, document, path)
    document.raise_issues()
    _check_replaced(content, overrides, document)
    phases = {phase.value: _merged(shared, overrides.get(phase)) for phase in PHASES}
    _check_gated_energy(phases, document)
    _check_rules(phases, document)
    document.raise_issues()
    design = build(Sparsity, {**title, **phases}, document, path)
    document.raise_issues()
    places = {part: document.place(part) for part in (*document.keys, *document.values)}
    return cast("Sparsity", design).read_from(Origin(document.file, by_path=places))


def _overrides(written: Any, document: Document) -> dict[str, SparsePhase | None]:
    path: Path = ("sparsity", "phases")
    if written is None:
        return {}
    if not isinstance(written, dict):
        document.complain(
            path, f"'phases' must be a mapping, is {shorten(written)}", f"by phase: {', '.join(PHASES)}"
        )
        return {}
    found = {}
    for name, sections in written.items():
        if name not in PHASES:
            unknown_key(document, (*path, name), list(PHASES))
        elif not isinstance(sections, dict):
            document.complain((*path, name), f"'{name}' must be a mapping, is {shorten(sections)}")
        else:
            found[name] = _phase(sections, (*path, name), document)
    return found


def _merged(shared: SparsePhase | None, override: SparsePhase | None) -> SparsePhase:
    shared = cast("SparsePhase", shared)
    if override is None:
        return shared
    changed = {}
    for key in override.model_fields_set:
        value = getattr(override, key)
        changed[key] = {**getattr(shared, key), **value} if key in _MERGED else value
    return shared.model_copy(update=changed)


def _check_replaced(
    content: dict[str, Any], overrides: dict[str, SparsePhase | None], document: Document
) -> None:
    """Note what is said for all phases and replaced in every one of them."""
    own = [phase for name in PHASES if (phase := overrides.get(name)) is not None]
    if len(own) < len(PHASES):
        return
    hint = "take it out, or what replaces it in one of them"
    for key, written in content.items():
        if key not in _SECTIONS or not all(key in phase.model_fields_set for phase in own):
            continue
        replaced = f"'{key}' is replaced in every phase"
        if key not in _MERGED:
            document.complain(("sparsity", key), f"{replaced}: it has no effect here", hint, key=True)
            continue
        for tensor in written:
            if all(tensor in getattr(phase, key) for phase in own):
                message = f"'{tensor}' is replaced in every phase: it has no effect here"
                document.complain(("sparsity", key, tensor), message, hint, key=True)


def _check_gated_energy(phases: dict[str, SparsePhase], document: Document) -> None:
    """Note an energy of gated computations that no phase for which it is stated has."""
    message = "'gated_energy' has no effect without 'gate', here or in an action"
    _check_met(phases, "compute", "gated_energy", _gates_computations, message, document)


def _check_rules(phases: dict[str, SparsePhase], document: Document) -> None:
    """Note rules of counting that differ from this model's own on what no phase has that they hold for."""
    for key, (needed, is_met) in _RULE_NEEDS.items():
        own = Rules.model_fields[key].default

        def meets(phase: SparsePhase, key: str = key, own: str = own, is_met: _Test = is_met) -> bool:
            return getattr(phase.rules, key) == own or is_met(phase)

        _check_met(phases, "rules", key, meets, f"'{key}' has no effect without {needed}", document)


def _check_met(
    phases: dict[str, SparsePhase], section: str, key: str, is_met: _Test, message: str, document: Document
) -> None:
    """Note a key of a section that is stated and has no effect in any phase for which it is."""
    for name, phase in phases.items():
        stated = getattr(phase, section)
        sharing = [one for one in phases.values() if getattr(one, section) is stated]
        if key not in stated.model_fields_set or any(map(is_met, sharing)):
            continue
        own: Path = ("sparsity", "phases", name, section, key)
        is_own = own in document.keys if document.keys else len(sharing) == 1
        document.complain(own if is_own else ("sparsity", section, key), message, key=True)


def _gates_computations(phase: SparsePhase) -> bool:
    """Say whether computations may be gated: by themselves, or as the access of an operand is."""
    with_access = phase.rules.gated_operands == "take_cycle"
    return bool(phase.compute.gate) or (with_access and any(one.kind == "gate" for one in phase.actions))


def _rounds_compressed(phase: SparsePhase) -> bool:
    """Say whether counts of compressed tensors are rounded."""
    return phase.rules.rounding == "whole_words" and bool(phase.formats)


_RULE_NEEDS: dict[str, tuple[str, _Test]] = {
    "stored_zeros": (
        f"a format of kind {takers_of('run_bits').replace(' and ', ' or ')}",
        lambda phase: any(one.stores_runs for levels in phase.formats.values() for one in levels.values()),
    ),
    "probabilities": (
        "'rounding: whole_words' and a hypergeometric density",
        lambda phase: (
            phase.rules.rounding == "whole_words"
            and any(one.model == "hypergeometric" for one in phase.densities.values())
        ),
    ),
    "format_ranks": (
        "'rounding: whole_words' and a format that lists its ranks",
        lambda phase: (
            _rounds_compressed(phase)
            and any(one.ranks for levels in phase.formats.values() for one in levels.values())
        ),
    ),
    "last_accesses": (
        "'format_ranks: loops' and a format that lists its ranks",
        lambda phase: (
            phase.rules.format_ranks != "dimensions"
            and any(one.ranks for levels in phase.formats.values() for one in levels.values())
        ),
    ),
    "metadata_ports": ("formats", lambda phase: bool(phase.formats)),
    "access_box": ("actions", lambda phase: bool(phase.actions)),
    "capacity": (
        "'capacity: {size: quantile}' or 'maximum'",
        lambda phase: phase.capacity.size in ("quantile", "maximum"),
    ),
    "gated_operands": (
        "an action that gates",
        lambda phase: any(one.kind == "gate" for one in phase.actions),
    ),
    "several_actions": ("actions", lambda phase: bool(phase.actions)),
    "partial_sums": ("'rounding: whole_words' and formats", _rounds_compressed),
    "empty_tiles": ("'rounding: whole_words' and formats", _rounds_compressed),
    "absent_operands": ("'rounding: whole_words' and formats", _rounds_compressed),
    "position_use": (
        "an action that chooses positions",
        lambda phase: any(one.kind == "skip_positions" for one in phase.actions),
    ),
    "masks": ("actions, or computations that skip", lambda phase: bool(phase.actions or phase.compute.skip)),
}
"""By rule, what it says how to count, and whether a phase has it; the others hold for everything."""


def _phase(sections: dict[str, Any], path: Path, document: Document) -> SparsePhase | None:
    """Return the sections that stand at `path`, with shorthands written out."""
    written = dict(sections)
    if isinstance(written.get("densities"), dict):
        written["densities"] = {
            tensor: read_density(value, (*path, "densities", tensor), document)
            for tensor, value in written["densities"].items()
        }
    if isinstance(written.get("formats"), dict):
        written["formats"] = {
            tensor: {level: _format(value) for level, value in levels.items()}
            if isinstance(levels, dict)
            else levels
            for tensor, levels in written["formats"].items()
        }
    if isinstance(written.get("actions"), list):
        written["actions"] = [
            _action(item, (*path, "actions", index), document)
            for index, item in enumerate(written["actions"])
        ]
    for section, lists in (("compute", ("skip", "gate")), ("balancing", ("pointer_level",))):
        if isinstance(written.get(section), dict):
            written[section] = {
                key: [value] if key in lists and isinstance(value, str) else value
                for key, value in written[section].items()
            }
    return build(SparsePhase, written, document, path)


def density_of(value: Any) -> Any:
    """Return a density as its mapping: a bare number is one of the hypergeometric model, 1 a dense tensor."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"model": "dense"} if value == 1 else {"model": "hypergeometric", "density": float(value)}
    if value == "dense":
        return {"model": "dense"}
    return value


def read_density(value: Any, path: Path, document: Document) -> Any:
    """Return a density as its mapping, its mask's file relative to the document."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and not 0 <= value <= 1:
        document.complain(path, f"the density of '{path[-1]}' must be from 0 to 1, is {shorten(value)}")
        return {"model": "dense"}
    value = density_of(value)
    if not isinstance(value, dict):
        wanted = f"a number from 0 to 1, 'dense' or {PAIRS}"
        message = f"the density of '{path[-1]}' must be {wanted}, is {shorten(value)}"
        document.complain(path, message, "such as 0.1 or {model: fixed, density: 0.1}")
        return {"model": "dense"}
    if isinstance(value.get("mask"), str) and document.file:
        return {**value, "mask": str(FilePath(document.file).parent / value["mask"])}
    return value


def _format(value: Any) -> Any:
    """Return a format as its mapping: a bare text is its kind."""
    return {"kind": value} if isinstance(value, str) else value


def _action(item: Any, path: Path, document: Document) -> Any:
    """Return an action as its model takes it: `skip: T` or `gate: T` says kind and target at once."""
    if not isinstance(item, dict):
        return item
    kinds = [kind for kind in _ACTION_KINDS if kind in item]
    if len(kinds) != 1:
        hint = "such as {level: RegFile, skip: Outputs, on: [Weights]}"
        message = (
            "an action has one of 'skip', 'gate', 'skip_space' and 'skip_positions', with the tensor it saves"
        )
        document.complain(path, message, hint)
    for key in item:
        if key not in _ACTION_KEYS:
            unknown_key(document, (*path, key), _ACTION_KEYS)
    kind = kinds[0] if kinds else "skip"
    on = item.get("on", [] if kind == "skip_positions" else None)
    action = {"kind": kind, "target": item.get(kind, "?"), "on": [on] if isinstance(on, str) else on}
    return {"level": item["level"], **action} if "level" in item else action
