"""Directives of a mapping or a constraint: what they aim at, their factors, their order, what is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from procrustes_model.importers.timeloop.node import Node
from procrustes_model.spec.text.words import did_you_mean, shorten

KINDS = {
    "temporal": "temporal",
    "spatial": "spatial",
    "bypass": "keep",
    "bypassing": "keep",
    "datatype": "keep",
    "dataspace": "keep",
    "data_space": "keep",
}
"""What a directive says, by the words for its type."""

_FACTOR = re.compile(
    r"(?:(?P<dimension>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<relation><=|>=|=)\s*(?P<value>[0-9]+)"
    r"|(?P<letters>[A-Za-z_]+)(?P<digits>[0-9]+))"
    # A number after a comma is how long the loop is in its last pass.
    r"(?:\s*,\s*(?P<last>[0-9]+))?"
)
_BETWEEN = re.compile(r"[\s,]+")


@dataclass(frozen=True)
class Factor:
    """One factor of a directive.

    Attributes
    ----------
    dimension : str
    relation : str
        '=', '<=' or '>='.
    value : int
        At least 1; the full bound where 0 was written.
    last : int or None
        Iterations in the last pass, where they are fewer.
    """

    dimension: str
    relation: str
    value: int
    last: int | None = None

    def __str__(self) -> str:
        """Return the factor as it may be written in those files."""
        return f"{self.dimension}{self.relation}{self.value}" + (f",{self.last}" if self.last else "")


@dataclass
class Directive:
    """One entry of a mapping or of constraints.

    Attributes
    ----------
    node : Node
    target : str
    kind : str
        'temporal', 'spatial' or 'keep'.
    factors : list of Factor
    permutation : list of str
        Dimensions, innermost first.
    split : int or None
        How many dimensions of the permutation lie on X, loops of 1 included; None: not said.
    keep, bypass, stream : list of str
    """

    node: Node
    target: str
    kind: str
    factors: list[Factor] = field(default_factory=list)
    permutation: list[str] = field(default_factory=list)
    split: int | None = None
    keep: list[str] = field(default_factory=list)
    bypass: list[str] = field(default_factory=list)
    stream: list[str] = field(default_factory=list)


class DirectiveReader:
    """Reads directives for a problem with some dimensions and tensors.

    Parameters
    ----------
    bounds : dict of str to int
        By dimension.
    tensors : tuple of str
    """

    def __init__(self, bounds: dict[str, int], tensors: tuple[str, ...]) -> None:
        self.bounds = bounds
        self.tensors = tensors

    def read(self, node: Node, target: str | None = None, kind: str | None = None) -> Directive | None:
        """Return a directive; None with an issue where its type is unknown.

        Parameters
        ----------
        node : Node
        target, kind : str, optional
            Where the place of the directive says them, as in a component of version 0.4.
        """
        if not isinstance(node.data, dict):
            node.refuse(f"a directive has a target and a type, this is {shorten(node.data)}")
            return None
        if target is None:
            aim = node.get("target")
            if aim is None:
                node.refuse("a directive has no 'target'")
                return None
            target = aim.text()
        if kind is None:
            said = node.get("type")
            word = "" if said is None else said.text()
            if word.replace("-", "_") not in KINDS:
                where = node if said is None else said
                where.refuse(f"unknown type {shorten(word)} of a directive", did_you_mean(word, KINDS))
                return None
            kind = KINDS[word.replace("-", "_")]
        directive = Directive(node, target, kind)
        for key, part in node.items():
            self._take(directive, key, part)
        return directive

    def _take(self, directive: Directive, key: str, part: Node) -> None:
        """Take one key of a directive; what it does not say leaves things as they are."""
        said = part.data is not None
        if key == "factors":
            directive.factors = self.factors(part) if said else []
        elif key == "permutation":
            directive.permutation = self.permutation(part) if said else []
        elif key == "split":
            if directive.kind == "spatial":
                directive.split = part.count(least=0) if said else None
            else:
                part.findings.drop("'split' where nothing is spread", part.place)
        elif key in ("keep", "bypass", "stream") and directive.kind == "keep":
            setattr(directive, key, self._kept(part) if said else [])
        elif key == "no_link_transfer":
            part.findings.drop("'no_link_transfer': elements here take nothing from neighbours", part.place)
        elif key not in ("target", "type", "name"):
            part.refuse(f"'{part.path[-1]}' of a {directive.kind} directive cannot be said here", key=True)

    def factors(self, node: Node) -> list[Factor]:
        """Return factors written as ``R=3 P<=7 C1``, as one text or a list of them."""
        found = []
        texts = node.list() if isinstance(node.data, list) else [node]
        for part in texts:
            rest = part.text().strip()
            while rest:
                match = _FACTOR.match(rest)
                if match is None or (match.end() < len(rest) and not _BETWEEN.match(rest, match.end())):
                    part.refuse(f"'{rest[:40]}' is no factor", "factors are written R=3 P=1, or R3 P1")
                    break
                rest = _BETWEEN.sub("", rest[match.end() :], count=1)
                factor = self._factor(match, part)
                if factor is not None:
                    found.append(factor)
        names = [factor.dimension for factor in found if factor.relation == "="]
        for name in {name for name in names if names.count(name) > 1}:
            node.refuse(f"{name} has two factors here")
        return found

    def _factor(self, match: re.Match[str], part: Node) -> Factor | None:
        name = match["dimension"] or match["letters"]
        if name not in self.bounds:
            part.refuse(f"unknown dimension '{name}'", did_you_mean(name, self.bounds))
            return None
        value = int((match["value"] or match["digits"])[:30])
        last = None if match["last"] is None else int(match["last"][:30])
        if last == value:
            last = None
        if last is not None and not 1 <= last < value:
            part.refuse(f"the last pass of {name} has {last} of {value} iterations")
            return None
        return Factor(name, match["relation"] or "=", value or self.bounds[name], last)

    def permutation(self, node: Node) -> list[str]:
        """Return dimensions written as ``PRK``, ``P,R,K`` or a list, innermost first."""
        names: list[str] = []
        for part in node.list() if isinstance(node.data, list) else [node]:
            for word in _BETWEEN.split(part.text().strip()):
                if word in self.bounds:
                    names.append(word)
                elif all(letter in self.bounds for letter in word):
                    names += word
                else:
                    part.refuse(f"unknown dimension in '{word[:40]}'", did_you_mean(word, self.bounds))
        if len(set(names)) < len(names):
            node.refuse(f"a dimension stands twice in the permutation {' '.join(names)}")
        return names

    def _kept(self, node: Node) -> list[str]:
        names = [part.text() for part in (node.list() if isinstance(node.data, list) else [node])]
        for name in names:
            if name not in self.tensors:
                node.refuse(f"unknown data space '{name[:60]}'", did_you_mean(name, self.tensors))
        return names


def latest(directives: list[Directive]) -> dict[tuple[str, str], Directive]:
    """Return directives by target and kind; a later one replaces an earlier one, as in that tool."""
    found: dict[tuple[str, str], Directive] = {}
    for directive in directives:
        found[directive.target, directive.kind] = directive
    return found
