"""From constraints as written to `Constraints`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from procrustes_model.mapper.level_rules import KINDS, Constraints, FactorRule, LevelRules, LoopRules
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.shape import bound_problem
from procrustes_model.spec.text.document import Document, missing_key, unknown_key
from procrustes_model.spec.text.words import PAIRS, did_you_mean, is_identifier, is_name, shorten
from procrustes_model.spec.text.yaml_text import Path

_TOP_KEYS = ["name", "min_utilization", "levels"]
_LEVEL_KEYS = ["level", *KINDS, "keep", "bypass"]
_LOOP_KEYS = ["factors", "order", "dimensions"]
_FACTOR = re.compile(r"([^\s,=<>]+)\s*(<=|>=|=)\s*([0-9]+)(?=[\s,]|$)")
_FACTORS = "write K=16, K<=16 or K>=2"
# A rule for a factor, or whatever else stands there.
_TOKEN = re.compile(rf"{_FACTOR.pattern}|[^\s,]+")
_WORD = re.compile(r"[^\s,]+")


@dataclass(frozen=True)
class _Word:
    """A name as written: alone, or in a text of several, where it starts at `offset`."""

    text: str
    path: Path
    offset: int | None = None


@dataclass(frozen=True)
class _Known:
    """Names that may stand where one of a sort does.

    Attributes
    ----------
    sort : str
        What they name, such as 'dimension'.
    names : tuple of str or None
        None: not known; their form is checked.
    """

    sort: str
    names: tuple[str, ...] | None

    def problem(self, name: str) -> tuple[str, str | None] | None:
        """Return a message and a hint where a name is none of these."""
        if self.names is not None:
            if name in self.names:
                return None
            return f"unknown {self.sort} '{name[:60]}'", did_you_mean(name, self.names)
        right = is_identifier(name) if self.sort == "dimension" else is_name(name)
        return None if right else (f"{shorten(name)} is no name of a {self.sort}", None)


def _names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(dict.fromkeys(names))


def read_constraints(
    document: Document, architecture: Architecture | None, problems: Sequence[Problem] | None
) -> Constraints:
    """Return the constraints that a document describes.

    Parameters
    ----------
    document : Document
        With the one top-level key `constraints`.
    architecture : Architecture or None
    problems : sequence of Problem or None
        What names are checked against: each must be one of some of them. None: only the form is checked.

    Raises
    ------
    SpecError
        With every issue found.
    """
    content, path = document.section("constraints"), ("constraints",)
    reader = _Reader(
        document,
        architecture,
        _Known("level", _names(None if architecture is None else [one.name for one in architecture.levels])),
        _Known(
            "dimension", _names(None if problems is None else [d for p in problems for d in p.dimensions])
        ),
        _Known("tensor", _names(None if problems is None else [t.name for p in problems for t in p.tensors])),
    )
    reader.keys(content, _TOP_KEYS, path)
    name = content.get("name", "constraints")
    if not isinstance(name, str) or not is_name(name):
        message = f"'name' must be text of 1 to 100 printable characters, is {shorten(name)}"
        document.complain((*path, "name"), message)
    share = content.get("min_utilization", 0.0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        message = f"'min_utilization' must be a number from 0 to 1, is {shorten(share)}"
        document.complain((*path, "min_utilization"), message)
    written = content.get("levels", [])
    if not isinstance(written, list):
        document.complain((*path, "levels"), f"'levels' must be a list, is {shorten(written)}")
        written = []
    rules = [reader.level(one, (*path, "levels", i)) for i, one in enumerate(written)]
    document.raise_issues()
    return Constraints(tuple(rule for rule in rules if rule), float(share), name)


@dataclass
class _Reader:
    """Turns parts of a document into rules, and notes what is wrong with them."""

    document: Document
    architecture: Architecture | None
    levels: _Known
    dimensions: _Known
    tensors: _Known
    seen: set[str] = field(default_factory=set)

    def keys(self, content: dict[str, Any], known: list[str], path: Path) -> None:
        for key in content:
            if key not in known:
                unknown_key(self.document, (*path, key), known)

    def level(self, written: Any, path: Path) -> LevelRules | None:
        """Return the rules of one level; None where it is not clear which."""
        if not isinstance(written, dict):
            message = f"a level's rules must be {PAIRS}, is {shorten(written)}"
            self.document.complain(path, message, "such as {level: RegFile, keep: [Weights]}")
            return None
        self.keys(written, _LEVEL_KEYS, path)
        loops = {kind: self.loops(written[kind], (*path, kind)) for kind in KINDS if kind in written}
        keep, bypass = (self.listed(written, key, self.tensors, path) for key in ("keep", "bypass"))
        name, place = written.get("level"), (*path, "level")
        if "level" not in written:
            missing_key(self.document, place, written, _LEVEL_KEYS, "the level that is constrained")
            return None
        if not isinstance(name, str):
            self.document.complain(place, f"'level' must be the name of a level, is {shorten(name)}")
            return None
        if (problem := self.levels.problem(name)) is not None:
            self.document.complain(place, *problem)
            return None
        if name in self.seen:
            self.document.complain(place, f"level '{name}' stands twice", "merge the two")
        self.seen.add(name)
        self.check_keep(name, keep or (), bypass or (), path)
        return LevelRules(name, loops, keep or (), bypass or ())

    def check_keep(self, name: str, keep: tuple[str, ...], bypass: tuple[str, ...], path: Path) -> None:
        """Note tensors that a level cannot both keep and bypass, or that it never or always keeps."""
        for tensor in set(keep) & set(bypass):
            if tensor in keep:
                self.document.complain((*path, "bypass"), f"'{tensor}' cannot be both kept and bypassed")
        if self.architecture is None:
            return
        storage = {level.name: level for level in self.architecture.levels}[name]
        for tensor in keep:
            if not storage.may_keep(tensor):
                allowed = ", ".join(storage.tensors or ())
                message = f"{name} cannot keep '{tensor}': the architecture allows {allowed}"
                self.document.complain((*path, "keep"), message)
        if bypass and self.architecture.levels[0].name == name:
            message = "the outermost level keeps every tensor"
            self.document.complain((*path, "bypass"), message, "remove the bypass")

    def loops(self, written: Any, path: Path) -> LoopRules:
        """Return the rules of the loops of one kind at one level."""
        if not isinstance(written, dict):
            return LoopRules(self.factors(written, path))
        self.keys(written, _LOOP_KEYS, path)
        if "order" in written and path[-1] != "temporal":
            message = "only temporal loops have an order: those over instances run at once"
            self.document.complain((*path, "order"), message, key=True)
        return LoopRules(
            self.factors(written["factors"], (*path, "factors")) if "factors" in written else (),
            self.listed(written, "dimensions", self.dimensions, path),
            self.listed(written, "order", self.dimensions, path) or (),
        )

    def listed(self, content: dict[str, Any], key: str, known: _Known, path: Path) -> tuple[str, ...] | None:
        """Return the names under a key, None where there is no such key; each may stand once."""
        if key not in content:
            return None
        found: dict[str, None] = {}
        for word in self.words(content[key], (*path, key), f"{known.sort}s"):
            if (problem := known.problem(word.text)) is not None:
                self.document.complain(word.path, *problem, offset=word.offset)
            elif word.text in found:
                message = f"'{word.text}' stands twice"
                self.document.complain(word.path, message, "once is enough", offset=word.offset)
            else:
                found[word.text] = None
        return tuple(found)

    def words(self, written: Any, path: Path, what: str) -> list[_Word]:
        """Return the words of a text such as `K, R`, or of a list."""
        if isinstance(written, str):
            found = [_Word(word[0], path, word.start()) for word in _WORD.finditer(written)]
            if not found:
                self.document.complain(path, f"'{path[-1]}' is an empty text", f"such as a list of {what}")
            return found
        if not isinstance(written, list):
            self.document.complain(path, f"'{path[-1]}' must be a list of {what}, is {shorten(written)}")
            return []
        found = []
        for index, one in enumerate(written):
            place = (*path, index)
            if isinstance(one, str):
                found.append(_Word(one, place))
            else:
                message = f"item {index + 1} of '{path[-1]}' must be text, is {shorten(one)}"
                self.document.complain(place, message)
        return found

    def factors(self, written: Any, path: Path) -> tuple[FactorRule, ...]:
        """Return the rules of a text such as `K=16 P<=7`, or of a list of such texts."""
        texts = [(path, written)]
        if isinstance(written, list):
            texts = [((*path, index), item) for index, item in enumerate(written)]
        rules: dict[tuple[str, str], FactorRule] = {}
        for place, text in texts:
            if not isinstance(text, str) or not text.strip(" ,"):
                message = f"rules for factors are written 'K=16 P<=7', this is {shorten(text)}"
                self.document.complain(place, message)
                continue
            for token in _TOKEN.finditer(text):
                rule = self.factor(token, place)
                if rule is None:
                    continue
                if (rule.dimension, rule.relation) in rules:
                    message = f"'{rule.dimension}{rule.relation}' stands twice"
                    self.document.complain(place, message, "keep one of them", offset=token.start())
                rules[rule.dimension, rule.relation] = rule
        return tuple(rules.values())

    def factor(self, token: re.Match[str], path: Path) -> FactorRule | None:
        """Return the rule of one token such as `P<=7`."""
        name, relation, digits = token[1], token[2], token[3]
        if name is None:
            message = f"'{token[0][:60]}' is no rule for a factor"
            self.document.complain(path, message, _FACTORS, offset=token.start())
            return None
        if (problem := self.dimensions.problem(name)) is not None:
            self.document.complain(path, *problem, offset=token.start())
            return None
        # A hundred digits are as much too large as all of them, and cheap to read.
        value = int(digits[:100])
        if (wanted := bound_problem(value)) is not None:
            message = f"a factor of {name} is {wanted}, this is {shorten(value)}"
            self.document.complain(path, message, offset=token.start(3))
            return None
        return FactorRule(name, relation, value)
