"""From a mapping as written to a `Mapping`.

A misspelt key or dimension is noted and then read as what it most likely means, so that one slip does not
bring a trail of issues that only follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePath
from typing import Any

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.homes import may_keep
from procrustes_model.spec.mapping import LevelMapping, Loop, Mapping
from procrustes_model.spec.mapping_checks import check_beside, check_bounds, check_fanout, check_keep
from procrustes_model.spec.mapping_entries import check_entries
from procrustes_model.spec.mapping_written import LOOP_KEYS, WrittenLevel
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.schema import LARGEST_PRODUCT, Origin, build
from procrustes_model.spec.shape import bound_problem
from procrustes_model.spec.text.document import Document, missing_key, unknown_key
from procrustes_model.spec.text.words import PAIRS, closest, did_you_mean, is_name, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.spec.uneven import unfold

_KEYS = ["name", "levels"]
_LEVEL_KEYS = ["level", "temporal", "spatial_x", "spatial_y", "keep", "bypass"]
# A name, an equals sign, a number, and perhaps a slash and another one, blanks around the signs allowed;
# or whatever else stands there.
_TOKEN = re.compile(r"([^\s,=]+)\s*=\s*([^\s,=/]+)(?:\s*/\s*([^\s,=]+))?(?=[\s,]|$)|[^\s,]+")
_MAX_TOKENS = 1000


def read_mapping(
    document: Document, architecture: Architecture, problem: Problem, roomy: Collection[str] = ()
) -> Mapping:
    """Return the mapping that a document describes.

    Parameters
    ----------
    document : Document
        With the one top-level key `mapping`.
    architecture : Architecture
    problem : Problem
    roomy : collection of str
        Levels whose fan-out is not checked here.

    Returns
    -------
    Mapping

    Raises
    ------
    SpecError
        With every issue found.
    """
    content = document.section("mapping")
    for key in content:
        if key not in _KEYS:
            unknown_key(document, ("mapping", key), _KEYS)
    name = _name(content, document)
    reader = _Reader(document, architecture, problem)
    entries = reader.read(content)
    levels = [level for _, level in entries]
    machine = unfold(architecture, [index for index, _ in entries])
    check_entries(entries, architecture, problem, document)
    check_bounds(levels, reader.unclear, machine, problem, document)
    check_fanout(levels, machine, document, roomy)
    check_keep(levels, machine, problem, document)
    check_beside(levels, machine, document)
    document.raise_issues()
    built = [
        build(LevelMapping, _level_data(storage.name, level), document, level.path)
        for storage, level in zip(machine.levels, levels, strict=True)
    ]
    mapping = build(Mapping, {"name": name, "levels": built}, document, ("mapping",))
    document.raise_issues()
    assert mapping is not None
    if document.file is None:
        return mapping
    places = tuple(document.place(level.path) for level in levels)
    return mapping.read_from(Origin(document.file, places))


def _name(content: dict[str, Any], document: Document) -> str:
    stem = PurePath(document.file or "mapping").stem
    name = content.get("name", stem if is_name(stem) else "mapping")
    if not isinstance(name, str) or not is_name(name):
        document.complain(
            ("mapping", "name"), f"'name' must be text of 1 to 100 printable characters, is {shorten(name)}"
        )
    return str(name)


def _level_data(name: str, level: WrittenLevel) -> dict[str, Any]:
    loops = {
        key: tuple(
            Loop(
                dimension=dimension,
                factor=factor,
                last=level.last.get((key, dimension)),
            )
            for dimension, factor in level.loops[key].items()
        )
        for key in LOOP_KEYS
    }
    return {"level": name, "keep": level.keep, **loops}


def _number(text: str) -> int | str:
    """Return a whole number, or the text where it is none."""
    # A hundred digits are as much too large as all of them, and cheap to read.
    return int(text[:100]) if re.fullmatch(r"[-+]?[0-9]+", text) else text


class _Reader:
    """Reads the levels of one mapping; `unclear` collects dimensions whose factors could not be read."""

    def __init__(self, document: Document, architecture: Architecture, problem: Problem) -> None:
        self.document = document
        self.architecture = architecture
        self.problem = problem
        self.tensors = [tensor.name for tensor in problem.tensors]
        self.unclear: set[str] = set()

    def read(self, content: dict[str, Any]) -> list[tuple[int, WrittenLevel]]:
        """Return the entries of every storage level with its index, outermost first: one, or several."""
        path: Path = ("mapping", "levels")
        written = content.get("levels")
        found: dict[int, list[WrittenLevel]] = {}
        if "levels" not in content:
            missing_key(self.document, path, content, _KEYS, "a list of levels, outermost first")
        elif not isinstance(written, list):
            hint = "each item starts with '- level:'"
            self.document.complain(path, f"'levels' must be a list, is {shorten(written)}", hint)
        if not isinstance(written, list):
            self.unclear.update(self.problem.dimensions)
            written = []
        for position, item in enumerate(written):
            self._level(item, (*path, position), found)
        order = list(found)
        if order != sorted(order):
            names = ", ".join(level.name for level in self.architecture.levels)
            self.document.complain(
                path, "the levels are not in the architecture's order", f"write {names}", key=True
            )
        return [
            (index, level)
            for index in range(len(self.architecture.levels))
            for level in found.get(index) or [self._absent(index)]
        ]

    def _absent(self, index: int) -> WrittenLevel:
        """Return a level that the mapping leaves out: no loops, everything kept that may be."""
        return WrittenLevel(("mapping", "levels"), keep=self._allowed(index))

    def _allowed(self, index: int) -> tuple[str, ...]:
        return tuple(name for name in self.tensors if may_keep(self.architecture, self.problem, index, name))

    def _level(self, item: Any, path: Path, found: dict[int, list[WrittenLevel]]) -> None:
        if not isinstance(item, dict):
            message = f"a level must be {PAIRS}, is {shorten(item)}"
            self.document.complain(path, message, "such as '- level: DRAM'")
            self.unclear.update(self.problem.dimensions)
            return
        index = self._index(item, path, found)
        level = WrittenLevel(path, stated="keep" in item)
        for key in item:
            meant: str | None = key
            if key not in _LEVEL_KEYS:
                unknown_key(self.document, (*path, key), _LEVEL_KEYS)
                meant = closest(key, [one for one in _LEVEL_KEYS if one not in item])
            if meant in LOOP_KEYS:
                self._loops(item[key], (*path, key), level, meant)
        level.keep = self._keep(item, index, path)
        if index is None:
            for factors in level.loops.values():
                self.unclear.update(factors)
        else:
            found.setdefault(index, []).append(level)

    def _index(self, item: dict[str, Any], path: Path, found: dict[int, list[WrittenLevel]]) -> int | None:
        names = [level.name for level in self.architecture.levels]
        name = item.get("level")
        place = (*path, "level")
        if "level" not in item:
            missing_key(self.document, place, item, _LEVEL_KEYS, f"choose from {', '.join(names)}")
        elif not isinstance(name, str) or name not in names:
            free = [one for position, one in enumerate(names) if position not in found]
            hint = did_you_mean(name, free) if isinstance(name, str) else None
            if name == self.architecture.compute.name:
                hint = "the compute level has no loops of its own"
            self.document.complain(place, f"unknown level {shorten(name)} in {self.architecture.name}", hint)
            near = closest(name, free) if isinstance(name, str) else None
            return names.index(near) if near else None
        elif names.index(name) in [*found][:-1]:
            hint = "entries of a level are written one after the other; merge the two, or move this one"
            self.document.complain(place, f"duplicate level '{name}'", hint)
        else:
            return names.index(name)
        return None

    def _loops(self, written: Any, path: Path, level: WrittenLevel, kind: str) -> None:
        """Read a text such as `C=8 K=14/2`, or a list of such texts, into the loops of a level."""
        if written is None:
            return
        texts = [(path, written)]
        if isinstance(written, list):
            texts = [((*path, index), item) for index, item in enumerate(written)]
        for place, text in texts:
            if not isinstance(text, str):
                message = f"loops are written 'C=8 K=16', this is {shorten(text)}"
                self.document.complain(place, message)
                self.unclear.update(self.problem.dimensions)
                continue
            tokens = list(_TOKEN.finditer(text))
            for token in tokens[:_MAX_TOKENS]:
                self._loop(token, place, level, kind)

    def _loop(self, token: re.Match[str], path: Path, level: WrittenLevel, kind: str) -> None:
        """Read one token such as `K=16` or `K=14/2` into the loops of a level."""
        name, offset, factors = token[1], token.start(), level.loops[kind]
        if name is None:
            form = "a loop is written 'K=16'"
            self.document.complain(path, f"'{token[0][:60]}' is not a loop", form, offset=offset)
            name = token[0].partition("=")[0]
            self.unclear.update([name] if name in self.problem.dimensions else self.problem.dimensions)
            return
        if name not in self.problem.dimensions:
            hint = did_you_mean(name, self.problem.dimensions)
            self.document.complain(path, f"unknown dimension '{name[:60]}'", hint, offset=offset)
            near = closest(name, self.problem.dimensions)
            self.unclear.update([near] if near else [])
            if near is None or near in factors:
                return
            name = near
        value = _number(token[2])
        problem = bound_problem(value)
        if problem:
            shown = shorten(value)
            message = f"the factor of {name} must be {problem}, is {shown}"
            self.document.complain(path, message, offset=token.start(2))
            self.unclear.add(name)
        elif name in factors:
            merged = min(factors[name] * int(value), LARGEST_PRODUCT)
            hint = f"merge them into {name}={merged}"
            self.document.complain(path, f"{name} stands twice among these loops", hint, offset=offset)
            factors[name] = merged
            if token[3] or (kind, name) in level.last:
                self.unclear.add(name)
        else:
            factors[name] = int(value)
            if token[3]:
                self._last_pass(token, path, level, kind, name)

    def _last_pass(self, token: re.Match[str], path: Path, level: WrittenLevel, kind: str, name: str) -> None:
        """Read what stands behind the slash of a token such as `K=14/2`."""
        factor, last, offset = level.loops[kind][name], _number(token[3]), token.start(3)
        problem = bound_problem(last)
        if problem:
            message = f"the last pass of {name} must be {problem}, is {shorten(last)}"
            self.document.complain(path, message, offset=offset)
        elif int(last) > factor:
            message = f"the last pass of {name}={factor} must be at most {factor}, is {shorten(last)}"
            hint = f"{name}={factor}/{factor} is the same as {name}={factor}"
            self.document.complain(path, message, hint, offset=offset)
        else:
            if int(last) < factor:
                level.last[kind, name] = int(last)
            return
        self.unclear.add(name)

    def _keep(self, item: dict[str, Any], index: int | None, path: Path) -> tuple[str, ...]:
        """Return the tensors that a level keeps, in the problem's order."""
        if "keep" in item and "bypass" in item:
            hint = "they say the same thing in two ways; keep one of them"
            self.document.complain((*path, "bypass"), "'keep' and 'bypass' are both given", hint, key=True)
        listed = {key: self._tensors(item[key], (*path, key)) for key in ("keep", "bypass") if key in item}
        allowed = self._allowed(index) if index is not None else tuple(self.tensors)
        if "keep" in listed:
            for name, place in listed["keep"].items():
                if name not in allowed:
                    storage = self.architecture.levels[index or 0]
                    hint = f"it may keep {', '.join(allowed) or 'none of them'}"
                    self.document.complain(place, f"{storage.name} may not keep {name}", hint)
            return tuple(name for name in self.tensors if name in listed["keep"])
        return tuple(name for name in allowed if name not in listed.get("bypass", {}))

    def _tensors(self, written: Any, path: Path) -> dict[str, Path]:
        """Return the tensors of a list, with their places."""
        if not isinstance(written, list):
            form = f"such as [{', '.join(self.tensors)}]"
            self.document.complain(
                path, f"'{path[-1]}' must be a list of tensors, is {shorten(written)}", form
            )
            return dict.fromkeys(self.tensors, path) if path[-1] == "keep" else {}
        places: dict[str, Path] = {}
        for position, name in enumerate(written):
            place = (*path, position)
            if not isinstance(name, str) or name not in self.tensors:
                hint = did_you_mean(str(name), self.tensors)
                self.document.complain(place, f"unknown tensor {shorten(name)}", hint)
                near = closest(str(name), self.tensors)
                if near:
                    places.setdefault(near, place)
            elif name in places:
                self.document.complain(place, f"duplicate tensor '{name}'")
            else:
                places[name] = place
        return places
