"""What is said of a model in this program's files and in Timeloop's must be the same: else it is refused.

What was written is read back by the importer and compared part by part. What comes back otherwise cannot be
said there. So nothing is left out in silence: also not a key that this program learns later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from procrustes_model.errors import Issue
from procrustes_model.exporters.timeloop.model import Model, leaks_for
from procrustes_model.spec.architecture import ComputeLevel, StorageLevel
from procrustes_model.spec.mapping import LevelMapping
from procrustes_model.spec.schema import Frozen
from procrustes_model.spec.text.words import shorten
from procrustes_model.spec.text.yaml_text import Path

_CLOSE = 1e-12
"""Relative: prices that are divided on the way and multiplied on the way back."""

_CANNOT = "Timeloop's files cannot say that"

Part = tuple[Callable[[str, str | None], Issue], str, Any, Any]
"""What makes an issue of a part, its key, and what it was and came back as."""

_NOTED = frozenset(
    ("kind", "area_um2", "access_ns", "attributes", "source", "origins", "tensors", "description", "name")
)
"""Keys that no count, cycle and energy of a mapping depends on."""

_LEVEL_KEYS = frozenset(
    ("energy", "leakage_mw", "leakage_gated", "capacity_words", "double_buffered", "metadata", "word_bits")
)
_HOME_KEYS = frozenset(("resident", "loaded"))
"""Keys of a level that are compared by what they mean; all others as they are."""

_UNIT_KEYS = frozenset(("energy_pj", "gated_energy_pj", "skipped_energy_pj", "cycles_per_compute"))


def differences(model: Model, back: Model) -> list[Issue]:
    """Return an issue for every part of a model that came back otherwise.

    Parameters
    ----------
    model : Model
        What was exported.
    back : Model
        What the importer makes of it.
    """
    parts = (_levels, _unit, _components, _homes, _problem, _mapping, _design)
    found = []
    for compare in parts:
        for issue, key, mine, theirs in compare(model, back):
            if not _same(mine, theirs):
                plain = not isinstance(mine, Frozen)
                there = f"would be {_shown(theirs)} there" if plain else "would be lost there, or another"
                here = f"is {_shown(mine)} here" if plain else "has a meaning here"
                found.append(issue(f"{key} {here}, and {there}", _CANNOT))
    return list(dict.fromkeys(found))


def _same(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, float) and isinstance(theirs, float | int):
        return math.isclose(mine, theirs, rel_tol=_CLOSE)
    if isinstance(mine, tuple) and isinstance(theirs, tuple) and len(mine) == len(theirs):
        return all(_same(*pair) for pair in zip(mine, theirs, strict=True))
    return bool(mine == theirs)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list | set | frozenset):
        items = value if isinstance(value, tuple | list) else sorted(map(str, value))
        return ", ".join(map(_shown, items)) or "nothing"
    return {None: "not stated", True: "true", False: "false"}.get(value, shorten(value))


def _levels(model: Model, back: Model) -> Iterator[Part]:
    pairs = zip(model.architecture.levels, back.architecture.levels, strict=True)
    for index, (mine, theirs) in enumerate(pairs):
        issue = _at(model, ("levels", index))
        yield issue(), f"the name of {mine.name}", mine.name, theirs.name
        same = (
            ("mesh_x", "mesh_y", "beside", "network") if not mine.stores else tuple(StorageLevel.model_fields)
        )
        for key in same:
            if key not in _NOTED | _LEVEL_KEYS | _HOME_KEYS:
                yield issue(key), f"'{key}' of {mine.name}", getattr(mine, key), getattr(theirs, key)
        title = f"what {mine.name} spends in every cycle, in pJ,"
        yield issue("leakage_mw"), title, model.spent(index), back.spent(index)
        if mine.stores:
            yield from _storage(model, back, index, mine, theirs)


def _storage(
    model: Model, back: Model, index: int, mine: StorageLevel, theirs: StorageLevel
) -> Iterator[Part]:
    issue, name = _at(model, ("levels", index)), mine.name
    yield issue("capacity_words"), f"what tiles may take of {name}", mine.usable_words, theirs.usable_words
    waits = mine.double_buffered is False, theirs.double_buffered is False
    yield issue("double_buffered"), f"'double_buffered: false' of {name}", *waits
    for tensor in model.problem.tensors:
        bits = model.bits(mine, tensor.name), back.bits(theirs, tensor.name)
        yield issue("word_bits"), f"bits of {tensor.name} at {name}", *bits
    output = model.problem.output.name
    sums = [one.architecture.sum_bits or one.bits(to, output) for one, to in ((model, mine), (back, theirs))]
    yield issue("word_bits"), f"bits of a partial sum at {name}", sums[0], sums[1]
    prices, there = model.prices(mine), back.prices(theirs)
    for kind, price in prices.items():
        title = f"the energy of {kind.replace('_', ' ')} accesses at {name}".replace("  ", " ")
        yield issue("energy_pj"), title, price, there.get(kind)
    if "metadata" in prices:
        yield issue("metadata"), f"the store of metadata of {name}", mine.metadata, theirs.metadata


def _unit(model: Model, back: Model) -> Iterator[Part]:
    mine, theirs = model.architecture.compute, back.architecture.compute
    issue = _at(model, ("compute",))
    yield issue(), f"the name of {mine.name}", mine.name, theirs.name
    for key in ComputeLevel.model_fields:
        if key not in _NOTED | _UNIT_KEYS:
            no_leak = key == "leakage_gated" and not mine.leakage_mw
            if not no_leak:
                yield (
                    issue(key),
                    f"'{key}' of {mine.name}",
                    getattr(mine, key) or 0,
                    getattr(theirs, key) or 0,
                )
    cycles = model.computing.cycles, back.computing.cycles
    yield issue("cycles_per_compute"), f"'cycles_per_compute' of {mine.name}", *cycles
    there = back.compute_prices()
    for kind, price in model.compute_prices().items():
        title = f"the energy of '{kind}' of {mine.name}"
        yield issue("energy_pj"), title, price, there.get(kind)


def _components(model: Model, back: Model) -> Iterator[Part]:
    levels = [level.name for level in model.architecture.levels]

    def working(one: Model) -> dict[str, Any]:
        found = {}
        for part in one.architecture.components:
            idle = part.use is None and not part.power_pj_per_cycle and not part.leakage_mw
            if not idle and not any(leaks_for(part, name) for name in levels):
                keys = [key for key in type(part).model_fields if key not in _NOTED]
                found[part.name] = tuple(getattr(part, key) for key in keys)
        return found

    there = working(back)
    for number, part in enumerate(model.architecture.components):
        mine = working(model).get(part.name)
        if mine is not None:
            issue = _at(model, ("components", number))()
            yield (
                issue,
                f"the component {part.name}",
                *(None if mine == there.get(part.name) else "at work", None),
            )


def _at(model: Model, path: Path) -> Callable[..., Callable[[str, str | None], Issue]]:
    """Return what makes issues of keys of a part of the machine."""

    def of_key(*key: str) -> Callable[[str, str | None], Issue]:
        return lambda message, hint: model.architecture.issue(message, hint, ("architecture", *path, *key))

    return of_key


def _homes(model: Model, back: Model) -> Iterator[Part]:
    levels = [level.name for level in model.architecture.levels]

    def said(home: tuple[int, bool]) -> str:
        return f"{levels[home[0]]}, {'written' if home[1] else 'not written'} there first"

    for tensor in model.problem.tensors:
        mine, theirs = model.home(tensor.name), back.home(tensor.name)
        by_machine = _at(model, ("levels", mine[0]))("resident")
        issue = model.of_problem if tensor.name in model.problem.homes else by_machine
        yield issue, f"where {tensor.name} begins and ends", said(mine), said(theirs)


def _problem(model: Model, back: Model) -> Iterator[Part]:
    mine, theirs = model.problem, back.problem
    bounds = [tuple(one.dimensions.items()) for one in (mine, theirs)]
    yield model.of_problem, "the bounds", bounds[0], bounds[1]
    for tensor, other in zip(mine.tensors, theirs.tensors, strict=True):
        for key in ("name", "ranks", "is_output"):
            yield model.of_problem, f"'{key}' of {tensor.name}", getattr(tensor, key), getattr(other, key)


def _mapping(model: Model, back: Model) -> Iterator[Part]:
    names = list(model.problem.dimensions)
    ordered = bool(model.phase.actions)

    def loops(level: LevelMapping, key: str) -> tuple[str, ...]:
        found = [loop for loop in getattr(level, key) if loop.factor > 1]
        return tuple(map(str, found))

    def order(level: LevelMapping) -> tuple[str, ...]:
        """Return all dimensions: those of loops of one iteration decide what that tool joins."""
        looped = [loop.dimension for loop in level.temporal]
        return (*looped, *(name for name in names if name not in looped))

    pairs = zip(model.mapping.levels, back.mapping.levels, strict=True)
    for index, (mine, theirs) in enumerate(pairs):

        def issue(message: str, hint: str | None, index: int = index) -> Issue:
            return model.mapping.issue(message, hint, index)

        for key in ("temporal", "spatial_x", "spatial_y"):
            yield issue, f"'{key}' at {mine.level}", loops(mine, key), loops(theirs, key)
        if ordered and model.architecture.levels[index].stores:
            yield issue, f"the order of loops at {mine.level}", order(mine), order(theirs)
        yield issue, f"what {mine.level} keeps", frozenset(mine.keep), frozenset(theirs.keep)


def _design(model: Model, back: Model) -> Iterator[Part]:
    mine, theirs = model.phase, back.phase

    def at(*path: str | int) -> Callable[[str, str | None], Issue]:
        return lambda message, hint: model.of_design(message, hint, path)

    for name, density in model.densities.items():
        there = back.densities.get(name)
        useful = there is not None or name in _met(model)
        if useful and density.average != 1:
            theirs_said = None if there is None else (there.model, there.density)
            yield (
                at("densities", name),
                f"the density of {name}",
                (density.model, density.density),
                theirs_said,
            )
    for level in model.architecture.levels:
        for tensor in model.problem.tensors:
            issue, key = (
                at("formats", tensor.name, level.name),
                f"the format of {tensor.name} at {level.name}",
            )
            here = model.format_of(tensor.name, level.name)
            yield issue, key, here, back.format_of(tensor.name, level.name)
    for number, action in enumerate(mine.actions):
        known = any(action == other for other in theirs.actions)
        key = f"an action that saves {action.target} at {action.level}"
        yield at("actions", number), key, action, action if known else None
    yield at("actions"), "the number of actions", len(mine.actions), len(theirs.actions)
    for kind in ("skip", "gate"):
        saved = [frozenset(getattr(one.compute, kind)) for one in (mine, theirs)]
        yield at("compute", kind), f"'{kind}' of computations", saved[0], saved[1]
    for key in ("balancing", "capacity"):
        yield at(key), f"'{key}'", getattr(mine, key), getattr(theirs, key)
    wired = any(level.network for level in model.architecture.levels)
    for key in type(mine.rules).model_fields:
        if key == "network_words" and not wired:
            continue  # says how networks count
        said, there = getattr(mine.rules, key), getattr(theirs.rules, key)
        yield at("rules", key), f"the rule '{key}'", said, there


def _met(model: Model) -> set[str]:
    """Return the tensors whose zeros save anything."""
    phase = model.phase
    found = {name for action in phase.actions for name in action.on or (action.target,)}
    found |= {*phase.compute.skip, *phase.compute.gate}
    names = [level.name for level in model.architecture.levels]
    formats = ((one.name, name) for one in model.problem.tensors for name in names)
    return found | {tensor for tensor, name in formats if model.format_of(tensor, name)}
