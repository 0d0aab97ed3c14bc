"""The points of a sweep: every value of every axis as a change, by path, of what is run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.options import options_of, spec_kinds
from procrustes_model.spec.sweep import WrittenSweep
from procrustes_model.spec.text.changes import Change, Said, format_path, parse_path
from procrustes_model.spec.text.conditions import Condition, parse_condition
from procrustes_model.spec.text.expressions import ExpressionError
from procrustes_model.spec.text.words import did_you_mean, is_identifier
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.sweeps.request import POINTS

MOST_POINTS = 100_000
BY_TENSOR = "densities"
"""The option whose parts are tensors."""


@dataclass(frozen=True, eq=False)
class Point:
    """One question of a sweep.

    Attributes
    ----------
    number : int
        From 1 on.
    values : dict of str to Any
        By axis.
    changes : tuple of Change
        What all points share, then its own; their paths start with an option.
    """

    number: int
    values: dict[str, Any]
    changes: tuple[Change, ...]

    @property
    def text(self) -> str:
        """The point in a few words."""
        names = short_names(list(self.values))
        shown = ", ".join(f"{names[name]} {show_value(value)}" for name, value in self.values.items())
        return f"point {self.number} ({shown[:120]})"


def show_value(value: Any) -> str:
    """Return the value of an axis as a table shows it."""
    if isinstance(value, dict):
        return " ".join(f"{key}={show_value(one)}" for key, one in value.items())
    if isinstance(value, list):
        return " ".join(map(show_value, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"


@dataclass(frozen=True)
class _Axis:
    """An axis with its paths read, and where each value is written."""

    name: str
    paths: tuple[Path, ...]
    values: tuple[Any, ...]
    said: tuple[Said, ...]

    def changes(self, number: int) -> list[Change]:
        return [Change(path, self.values[number], self.said[number]) for path in self.paths]


def expand(written: WrittenSweep) -> tuple[tuple[str, ...], tuple[Point, ...]]:
    """Return the names of the axes, and the points of which all conditions are true.

    Raises
    ------
    SpecError
        When a path leads to nothing that is run, axes do not go together, or a condition is none.
    """
    issues: list[Issue] = []
    shared = [
        Change(path, value, written.said("set", text))
        for text, value in written.sweep.same.items()
        for path in _paths(written, [text], [written.said("set", text, key=True)], issues)
    ]
    axes = _listed(written, issues) if written.sweep.points else _axes(written, issues)
    issues += _set_twice(axes)
    if issues:
        raise SpecError(issues)
    numbers = _combine(written, axes)
    conditions = _conditions(written)
    names = short_names([axis.name for axis in axes])
    points: list[Point] = []
    for chosen in numbers:
        values = {axis.name: axis.values[number] for axis, number in zip(axes, chosen, strict=True)}
        if not _hold(conditions, {names[name]: value for name, value in values.items()}):
            continue
        own = [one for axis, number in zip(axes, chosen, strict=True) for one in axis.changes(number)]
        points.append(Point(len(points) + 1, values, (*shared, *own)))
    if not points:
        raise SpecError(written.said("where").issue("no point is left: for each, a condition is false"))
    return tuple(axis.name for axis in axes), tuple(points)


def short_names(axes: Sequence[str]) -> dict[str, str]:
    """Return what conditions call each axis: its name, or the end of its path that no other has."""
    parts = {name: [str(part) for part in parse_path(name, Said(None))] for name in axes}
    found = {}
    for name in axes:
        tails = ["_".join(parts[name][-length:]) for length in range(1, len(parts[name]) + 1)]
        own = [
            tail
            for length, tail in enumerate(tails, start=1)
            if is_identifier(tail)
            and not any(parts[other][-length:] == parts[name][-length:] for other in axes if other != name)
        ]
        found[name] = own[0] if own else name
    return found


def _axes(written: WrittenSweep, issues: list[Issue]) -> list[_Axis]:
    axes = []
    for name, axis in written.sweep.axes.items():
        place = written.said("axes", name, key=True)
        stated = axis.paths != (name,)
        said = [
            written.said("axes", name, "set", number) if stated else place
            for number in range(len(axis.paths))
        ]
        if stated and not is_identifier(name):
            hint = "letters, digits and underscores, or the path itself with a list of values"
            issues.append(place.issue(f"'{name[:60]}' is no name of an axis", hint))
        paths = _paths(written, axis.paths, said, issues)
        values = tuple(
            written.said("axes", name, *(["values", number] if _has_values(written, name) else [number]))
            for number in range(len(axis.values))
        )
        axes.append(_Axis(name, tuple(paths), axis.values, values))
    return axes


def _has_values(written: WrittenSweep, name: str) -> bool:
    """Say whether an axis is written with the key `values`, and is not a list."""
    return isinstance(written.document.data["sweep"]["axes"][name], dict)


def _listed(written: WrittenSweep, issues: list[Issue]) -> list[_Axis]:
    """Return the axes of a list of points: each has a value per point."""
    points = written.sweep.points
    names = list(points[0])
    for number, point in enumerate(points):
        place = written.said("points", number)
        issues += [
            place.issue(f"this point has no '{name}'", "all have the first one's keys")
            for name in names
            if name not in point
        ]
        for name in point:
            if name not in names:
                said = written.said("points", number, name, key=True)
                issues.append(
                    said.issue(f"'{name[:60]}' is not in the first point", did_you_mean(name, names))
                )
    axes = []
    for name in names:
        paths = _paths(written, [name], [written.said("points", 0, name, key=True)], issues)
        places = tuple(written.said("points", number, name) for number in range(len(points)))
        axes.append(_Axis(name, tuple(paths), tuple(point.get(name) for point in points), places))
    return axes


def _paths(
    written: WrittenSweep, texts: Sequence[str], said: Sequence[Said], issues: list[Issue]
) -> list[Path]:
    """Return the paths that lead to something that is run; note the others."""
    options = options_of(POINTS[written.sweep.run])
    kinds = spec_kinds(options)
    found = []
    for text, place in zip(texts, said, strict=True):
        try:
            path = parse_path(text, place)
        except SpecError as error:
            issues += error.issues
            continue
        head = str(path[0])
        if head not in options:
            hint = did_you_mean(head, list(options))
            issues.append(place.issue(f"{written.sweep.run} has no '{head[:60]}'", hint))
        elif len(path) > 1 and head not in kinds and not (head == BY_TENSOR and len(path) == 2):
            issues.append(place.issue(f"'{head}' has no parts", f"write '{head}' alone"))
        elif head == "seconds":
            issues.append(
                place.issue("'seconds' is the same for all searches", f"state it under '{written.sweep.run}'")
            )
        else:
            found.append(path)
    return found


def _set_twice(axes: Sequence[_Axis]) -> Iterator[Issue]:
    """Yield an issue where two axes set the same, or one a part of what the other sets."""
    for one, other in itertools.combinations(axes, 2):
        for mine, theirs in itertools.product(one.paths, other.paths):
            length = min(len(mine), len(theirs))
            if mine[:length] == theirs[:length] and (len(mine) == len(theirs) or length > 1):
                yield other.said[0].issue(
                    f"the axes '{one.name}' and '{other.name}' both set {format_path(theirs)}", "keep one"
                )


def _combine(written: WrittenSweep, axes: Sequence[_Axis]) -> Iterator[tuple[int, ...]]:
    """Return the numbers of the values of every point, by axis."""
    lengths = [len(axis.values) for axis in axes]
    if written.sweep.points or written.sweep.combine == "zip":
        if len(set(lengths)) > 1:
            shown = ", ".join(f"{axis.name} {len(axis.values)}" for axis in axes)
            raise SpecError(
                written.said("combine").issue(f"zip needs axes of one length: {shown}", "or combine: grid")
            )
        return iter([(number,) * len(axes) for number in range(lengths[0])])
    if math.prod(lengths) > MOST_POINTS:
        raise SpecError(
            written.said("axes").issue(f"{math.prod(lengths):,} points", f"at most {MOST_POINTS:,} are run")
        )
    return itertools.product(*map(range, lengths))


def _conditions(written: WrittenSweep) -> list[tuple[Condition, WrittenSweep, int]]:
    found = []
    for number, text in enumerate(written.sweep.where):
        try:
            found.append((parse_condition(text), written, number))
        except ExpressionError as error:
            raise SpecError(_where(written, number, error)) from None
    return found


def _hold(conditions: Sequence[tuple[Condition, WrittenSweep, int]], names: dict[str, Any]) -> bool:
    for condition, written, number in conditions:
        try:
            if not condition.holds(names):
                return False
        except ExpressionError as error:
            raise SpecError(_where(written, number, error)) from None
    return True


def _where(written: WrittenSweep, number: int, error: ExpressionError) -> Issue:
    alone = isinstance(written.document.data["sweep"]["where"], str)
    said = written.said("where", *([] if alone else [number]), offset=error.offset)
    return said.issue(error.message, error.hint)
