"""Two results, or two runs of networks, side by side: every number of every level and tensor."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.result import load_run
from procrustes_model.spec.text.document import unreadable
from procrustes_model.versions import VERSION_COLUMN

ALL = "all"
"""What the sum of several parts is called."""
COUNTS = ("reads", "fills", "updates")
DIFF_COLUMNS: Mapping[str, str] = {
    "part": "phase of training, or all of them",
    "level": "storage or compute level; empty: the whole machine; others: components, leakage, balancing",
    "tensor": "tensor; empty where the number is not one tensor's",
    "quantity": "energy_pj, cycles, edp_j_cycles; reads, fills, updates, computes of all instances",
    "a": "the number in the first result; empty: it has none",
    "b": "the number in the second one",
    "ratio": "b / a; empty: a is nothing",
    **VERSION_COLUMN,
}
"""Columns of the table of a comparison, and what they mean."""
_MOST_BYTES = 2**28

Key = tuple[str, str, str]
"""Level, tensor, quantity."""


@dataclass(frozen=True)
class Line:
    """One number of both.

    Attributes
    ----------
    part, level, tensor, quantity : str
        See `DIFF_COLUMNS`.
    a, b : float or None
    """

    part: str
    level: str
    tensor: str
    quantity: str
    a: float | None
    b: float | None

    @property
    def equal(self) -> bool:
        """Whether both are the same, but for rounding."""
        if self.a is None or self.b is None:
            return self.a == self.b
        return math.isclose(self.a, self.b, rel_tol=1e-9)

    @property
    def ratio(self) -> float | None:
        """What b is of a; None where a is nothing, or one of them is missing."""
        return self.b / self.a if self.a and self.b is not None else None

    def to_record(self) -> dict[str, Any]:
        """Return the line as a row of the table."""
        return {**vars(self), "ratio": self.ratio}


@dataclass(frozen=True)
class Comparison:
    """Two results side by side.

    Attributes
    ----------
    names : tuple of str
        What each is, a line.
    lines : tuple of Line
        By part, from the whole machine inwards.
    different : tuple of str
        What the two are not of the same of, such as 'problems: matmul and conv'.
    """

    names: tuple[str, str]
    lines: tuple[Line, ...]
    different: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The phases, and their sum where there are several."""
        return tuple(dict.fromkeys(line.part for line in self.lines))


def compare(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> Comparison:
    """Compare two results, level by level.

    Parameters
    ----------
    first, second : path
        JSON of an evaluation or a search, or the folder of a run of a network: of its design, all layers.

    Raises
    ------
    SpecError
        When either is none of these, or they have no phase in common.
    """
    sides = [_read(Path(path)) for path in (first, second)]
    parts = [part for part in sides[0].numbers if part in sides[1].numbers]
    if len(sides[0].numbers) == len(sides[1].numbers) == 1:
        # One question each: that is what is asked, whatever the phases are called.
        (mine,), (theirs,) = (list(side.numbers) for side in sides)
        parts, sides[1].numbers = [mine], {mine: sides[1].numbers[theirs]}
    if not parts:
        shown = " and ".join(", ".join(side.numbers) for side in sides)
        raise SpecError(Issue(f"nothing is in both: {shown}", "give results of the same phases"))
    lines = []
    for part in parts:
        mine_, theirs_ = (side.numbers[part] for side in sides)
        for level, tensor, quantity in _merged(mine_, theirs_):
            key = (level, tensor, quantity)
            lines.append(Line(part, *key, mine_.get(key), theirs_.get(key)))
    return Comparison((sides[0].name, sides[1].name), tuple(lines), _differences(*sides))


def _differences(first: _Side, second: _Side) -> tuple[str, ...]:
    """Return what two sides are not of the same of; nothing where only mappings or designs differ."""
    kinds = dict.fromkeys([*first.subject, *second.subject])
    pairs = {kind: (first.subject.get(kind, "none"), second.subject.get(kind, "none")) for kind in kinds}
    found = [f"{kind}: {mine} and {theirs}" for kind, (mine, theirs) in pairs.items() if mine != theirs]
    counts = (first.operations, second.operations)
    if not found and counts[0] != counts[1]:
        found.append(f"problems of one name: {counts[0]:,.0f} and {counts[1]:,.0f} computations")
    return tuple(found)


def _merged(first: Iterable[Key], second: Iterable[Key]) -> list[Key]:
    """Return all keys in the first's order, those of the second alone after their level."""
    keys = list(first)
    known = set(keys)
    for key in second:
        if key not in known:
            same = [at for at, one in enumerate(keys) if one[0] == key[0]]
            keys.insert(same[-1] + 1 if same else len(keys), key)
            known.add(key)
    return keys


class _Side:
    """One of the two: its numbers by part, then by level, tensor and quantity."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.subject: dict[str, str] = {}
        self.operations = 0.0
        self.numbers: dict[str, dict[Key, float]] = {}

    def add(self, part: str, result: Mapping[str, Any]) -> None:
        """Add a result, as `Result.to_dict` has it, to a part."""
        numbers = self.numbers.setdefault(part, {})
        inner = 0.0
        found: list[tuple[Key, float]] = [
            (("", "", "energy_pj"), result["energy_pj"]),
            (("", "", "cycles"), result["cycles"]),
        ]
        for level in result["levels"]:
            inner += level["energy_pj"]
            found += [((level["name"], "", key), level[key]) for key in ("energy_pj", "cycles")]
            for tensor in level["tensors"]:
                place = (level["name"], tensor["tensor"])
                found += [((*place, key), tensor[key] * tensor["instances"]) for key in COUNTS]
        compute = result["compute"]
        done = result.get("computes", compute["computes"])
        self.operations += done["dense"] if isinstance(done, Mapping) else done
        found += [((compute["name"], "", key), compute[key]) for key in ("energy_pj", "cycles", "computes")]
        rest = result["energy_pj"] - inner - compute["energy_pj"]
        if abs(rest) > 1e-9 * result["energy_pj"]:
            found.append((("others", "", "energy_pj"), rest))
        for key, value in found:
            numbers[key] = numbers.get(key, 0) + value

    def close(self) -> None:
        """Add what follows from sums: the sum of the parts, and products."""
        if len(self.numbers) > 1:
            whole: dict[Key, float] = {}
            for part in self.numbers.values():
                for key, value in part.items():
                    whole[key] = whole.get(key, 0) + value
            self.numbers[ALL] = whole
        for name, numbers in self.numbers.items():
            product = numbers["", "", "energy_pj"] * 1e-12 * numbers["", "", "cycles"]
            head = {key: value for key, value in numbers.items() if key[0] == ""}
            self.numbers[name] = {**head, ("", "", "edp_j_cycles"): product, **numbers}


def _read(path: Path) -> _Side:
    if path.is_dir():
        run = load_run(path)
        side = _Side(f"{run.network} on {run.architecture}, {run.design}, batch {run.batch}")
        for row in run.select(run.design):
            side.add(row.phase.text, row.case.result)
        side.close()
        side.subject = {
            "networks": run.network,
            "machines": run.architecture,
            "batches": str(run.batch),
            "phases": ", ".join(phase.text for phase in run.phases),
        }
        return side
    no_result = Issue(
        "this is no result",
        "JSON of 'evaluate --json' or 'search --json', or a folder of 'network'",
        str(path),
    )
    try:
        if path.exists() and (not path.is_file() or path.stat().st_size > _MOST_BYTES):
            raise SpecError(no_result)
        data = json.loads(path.read_text(encoding="utf-8"))
        results = [one.get("result", one) for one in (data if isinstance(data, list) else [data])]
        side = _Side("")
        for result in results:
            side.add((result["phase"] or "forward").replace("_", " "), result)
        side.close()
        names = {key: str(results[0][key]) for key in ("problem", "architecture", "mapping")}
        side.subject = {"problems": names["problem"], "machines": names["architecture"]}
        side.subject["phases"] = ", ".join(part for part in side.numbers if part != ALL)
        side.name = f"{names['problem']} on {names['architecture']}, mapping {names['mapping']}"
    except OSError as error:
        raise SpecError(unreadable(path, error)) from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise SpecError(no_result) from None
    return side
