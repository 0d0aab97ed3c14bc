"""Changes of a specification by path, such as ``architecture.levels.GlobalBuffer.capacity=64 KB``.

A document is changed before it is read: what the change makes wrong is found where everything is, and said
of the place at which the change is written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.text.words import closest, did_you_mean, shorten
from procrustes_model.spec.text.yaml_text import Path, parse_yaml

SETTING = "--set"
GRAMMAR = "a path is written architecture.levels.GlobalBuffer.capacity or mapping.levels[0].temporal"
NAMES = ("name", "level")
"""Keys by which an item of a list is called."""
_PART = re.compile(r'"([^"]+)"|([^.\[\]"=\s][^.\[\]"=]*)')
_INDEX = re.compile(r"\[(\d{1,6})\]")


@dataclass(frozen=True)
class Said:
    """Where a change is written.

    Attributes
    ----------
    file : str or None
        A file, or the option with its value; None for Python.
    line, column : int or None
    """

    file: str | None
    line: int | None = None
    column: int | None = None

    def issue(self, message: str, hint: str | None = None) -> Issue:
        """Return an issue with this place."""
        return Issue(message, hint, self.file, self.line, self.column)


@dataclass(frozen=True)
class Change:
    """One value in place of another.

    Attributes
    ----------
    path : tuple of str and int
        Keys, names of items of lists, and indices; the first says which specification is meant.
    value : Any
        Plain data, as a file would have it; None takes the key away.
    said : Said
    """

    path: Path
    value: Any
    said: Said = field(default=Said(None), compare=False)

    @property
    def head(self) -> str:
        """The specification that is meant."""
        return str(self.path[0])

    def to_setting(self) -> str:
        """Return the change as ``PATH=VALUE``, which `parse_setting` reads."""
        path = format_path(tuple(_quoted(part) for part in self.path))
        plain = isinstance(self.value, str) and parse_yaml(self.value, None).data == self.value
        return f"{path}={self.value if plain else json.dumps(self.value, ensure_ascii=False)}"


def parse_path(text: str, said: Said) -> Path:
    """Read a path: parts with dots between them, indices in brackets, names with dots in double quotes.

    Raises
    ------
    SpecError
        When it is none.
    """
    parts: list[str | int] = []
    at = 0
    while at < len(text) or not parts:
        if parts and (index := _INDEX.match(text, at)):
            parts.append(int(index[1]))
            at = index.end()
            continue
        dot = 1 if parts and text[at : at + 1] == "." else 0
        part = _PART.match(text, at + dot)
        if part is None or (parts and not dot):
            raise SpecError(said.issue(f"{shorten(text)} is no path", GRAMMAR))
        parts.append(part[1] or part[2].rstrip())
        at = part.end()
    return tuple(parts)


def parse_setting(text: str) -> Change:
    """Read ``PATH=VALUE`` of the option `SETTING`; the value is YAML.

    Raises
    ------
    SpecError
        When it is none.
    """
    said = Said(f"{SETTING} {text[:200]}")
    path, equals, value = text.partition("=")
    if not equals:
        raise SpecError(said.issue("a change is written PATH=VALUE", GRAMMAR))
    return Change(parse_path(path.strip(), said), parse_yaml(value.strip(), said.file).data, said)


@dataclass(frozen=True)
class Edited(os.PathLike[str]):
    """A specification that a user names, with changes: taken wherever its name would be.

    Attributes
    ----------
    source : str or path
        A file, or the name of something that ships.
    changes : tuple of Change
    """

    source: str | os.PathLike[str]
    changes: tuple[Change, ...]

    def __fspath__(self) -> str:
        return os.fspath(self.source)

    def __str__(self) -> str:
        return os.fspath(self.source)


def apply_changes(data: Any, changes: Iterable[Change], kind: str) -> dict[Path, Said]:
    """Change plain data in place, and return where each change is written by the path to what it changed.

    Parameters
    ----------
    data : Any
        What a file holds.
    changes : iterable of Change
        The first part of their paths stands for the section.
    kind : str
        The section.

    Raises
    ------
    SpecError
        For the paths that lead nowhere.
    """
    issues: list[Issue] = []
    changed: dict[Path, Said] = {}
    for change in changes:
        try:
            place = _put(data, (kind, *change.path[1:]), change)
        except SpecError as error:
            issues += error.issues
            continue
        changed = {at: said for at, said in changed.items() if at[: len(place)] != place}
        changed[place] = change.said
    if issues:
        raise SpecError(issues)
    return changed


def format_path(path: Path) -> str:
    """Return a path as one writes it: `architecture.levels[1].capacity`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _put(data: Any, path: Path, change: Change) -> Path:
    """Put the value of a change where its path leads; return the outermost part that is new."""
    if len(path) < 2:
        hint = f"such as {change.head}.name"
        raise SpecError(change.said.issue(f"'{change.head}' is a whole specification", hint))
    place: list[str | int] = []
    new: Path | None = None
    for number, part in enumerate(path):
        key = _find(data, part, place, change)
        place.append(key)
        if new is None and isinstance(data, dict) and data.get(key) is None:
            new = tuple(place)
        if number == len(path) - 1 and change.value is None and isinstance(data, dict):
            data.pop(key, None)
        elif number == len(path) - 1:
            data[key] = change.value
        else:
            if isinstance(data, dict) and data.get(key) is None:
                data[key] = {}
            data = data[key]
    return new or tuple(place)


def _quoted(part: str | int) -> str | int:
    return part if isinstance(part, int) or _PART.fullmatch(part) else f'"{part}"'


def _find(data: Any, part: str | int, place: list[str | int], change: Change) -> str | int:
    """Return the key or index that a part of a path stands for."""
    where, said = format_path(tuple(place)), change.said
    if isinstance(data, dict):
        if isinstance(part, int):
            raise SpecError(said.issue(f"{where} is no list", did_you_mean(str(part), data)))
        # What may be added only the reader knows; of a part with others below it, what is near is meant.
        last = len(place) + 1 == len(change.path)
        if part not in data and not last and (near := closest(part, data)):
            raise SpecError(said.issue(f"no '{part[:60]}' in {where}", f"did you mean '{near}'?"))
        return part
    if not isinstance(data, list):
        raise SpecError(said.issue(f"{where} is {shorten(data)}: nothing of it can be set", "set all of it"))
    if isinstance(part, int):
        if part >= len(data):
            raise SpecError(said.issue(f"no [{part}] in {where}", f"it has {len(data)} items, from [0] on"))
        return part
    known = [[str(one[key]) for key in NAMES if isinstance(one, dict) and key in one] for one in data]
    found = [number for number, names in enumerate(known) if part in names]
    if len(found) == 1:
        return found[0]
    if found:
        hint = f"write {where}[{found[0]}] or another of them"
        raise SpecError(said.issue(f"{len(found)} items of {where} are called '{part[:60]}'", hint))
    names = [name for one in known for name in one]
    near = did_you_mean(part, names) or f"its items have no names; write {where}[0]"
    raise SpecError(said.issue(f"no '{part[:60]}' in {where}", near))
