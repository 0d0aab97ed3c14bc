"""From a problem as Timeloop says it to one of this program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from procrustes_model.importers.timeloop.files import Inputs
from procrustes_model.importers.timeloop.node import Node
from procrustes_model.importers.timeloop.words import DENSITIES
from procrustes_model.spec.groups import side_of
from procrustes_model.spec.load import load_problem
from procrustes_model.spec.text.words import is_identifier, shorten

_BESIDE = ("shape", "instance", "version", "name", "type", *DENSITIES)
_UNUSED = "sizes that the shape does not use"


@dataclass(frozen=True)
class TranslatedProblem:
    """A problem in this program's terms.

    Attributes
    ----------
    content : dict
        As a problem file has it under its key.
    bounds : dict of str to int
        By dimension.
    tensors : tuple of str
    """

    content: dict[str, Any]
    bounds: dict[str, int]
    tensors: tuple[str, ...]

    def shape_of(self, tensor: str) -> tuple[int, ...]:
        """Return how long the ranks of a tensor are."""
        problem = load_problem({"problem": self.content})
        ranks = next(one for one in problem.tensors if one.name == tensor).ranks
        return tuple(side_of(problem, rank) for rank in ranks)

    def writes(self, tensor: str) -> bool:
        """Say whether a tensor is the one that is written."""
        return bool(self.content["shape"]["tensors"][tensor].get("output"))


def read_problem(inputs: Inputs, name: str) -> TranslatedProblem | None:
    """Return the problem; None with issues where there is none."""
    section = inputs.one("problem")
    if section is None:
        inputs.lacks("problem")
        return None
    shape = section.get("shape")
    if shape is None or not isinstance(shape.data, dict):
        where, said = (section, "no shape") if shape is None else (shape, f"the shape {shorten(shape.data)}")
        where.refuse(
            f"the problem names {said}", "shapes that ship with that tool are not read: give it in full"
        )
        return None
    dimensions = [node.text() for node in _children(shape, "dimensions")]
    defaults = _coefficients(shape)
    tensors = _tensors(shape, dimensions, defaults)
    used = {word for tensor in tensors.values() for rank in tensor["projection"] for word in rank.split()}
    for one in [one for one in defaults if one not in used]:
        shape.findings.drop(_UNUSED, one)
        del defaults[one]
    instance = section.get("instance") or section
    values = _values(instance, [*dimensions, *defaults], section)
    bounds = {one: values.get(one, 0) for one in dimensions}
    for one, bound in bounds.items():
        if bound == 0:
            instance.refuse(f"the problem has no bound of {one}", f"such as '{one}: 1'", key=True)
    title = shape.get("name")
    content: dict[str, Any] = {
        "name": name,
        "shape": {
            "name": title.text("custom") if title is not None else "custom",
            "dimensions": dimensions,
            **({"coefficients": defaults} if defaults else {}),
            "tensors": tensors,
        },
        "dimensions": bounds,
    }
    changed = {one: values[one] for one in defaults if values.get(one, defaults[one]) != defaults[one]}
    if changed:
        content["coefficients"] = changed
    return TranslatedProblem(content, bounds, tuple(tensors))


def _children(node: Node, key: str) -> list[Node]:
    part = node.get(key)
    if part is None:
        node.refuse(f"the shape has no '{key}'", key=True)
        return []
    return part.list()


def _coefficients(shape: Node) -> dict[str, int]:
    found: dict[str, int] = {}
    part = shape.get("coefficients")
    for node in part.list() if part is not None else ():
        name, default = node.get("name"), node.get("default")
        if name is None:
            node.refuse("a coefficient has no 'name'")
            continue
        found[name.text()] = 1 if default is None else default.count()
    return found


def _values(instance: Node, known: list[str], section: Node) -> dict[str, int]:
    """Return bounds and coefficients; everything else that stands there is dropped or refused."""
    found: dict[str, int] = {}
    for key, node in instance.items():
        raw = str(node.path[-1])
        if raw in known:
            found[raw] = node.count()
        elif key not in _BESIDE and key not in DENSITIES:
            node.findings.drop(_UNUSED, f"{raw} ({node.place})")
    if instance is not section:
        for key, node in section.items():
            if key not in _BESIDE:
                node.refuse(f"unknown key '{node.path[-1]}' in a problem", key=True)
    return found


def _tensors(shape: Node, dimensions: list[str], defaults: dict[str, int]) -> dict[str, dict[str, Any]]:
    tensors: dict[str, dict[str, Any]] = {}
    listed = shape.get("data_spaces")
    if listed is None:
        shape.refuse("the shape has no 'data-spaces'", key=True)
        return tensors
    for node in listed.list():
        name, written, projection = node.get("name"), node.get("read_write"), node.get("projection")
        if name is None or projection is None:
            node.refuse("a data space has a 'name' and a 'projection'")
            continue
        ranks = [_rank(rank, dimensions, defaults) for rank in _ranks(projection)]
        tensors[name.text()] = {
            "projection": ranks,
            **({"output": True} if written is not None and written.truth() else {}),
        }
    return tensors


def _ranks(projection: Node) -> list[Node]:
    """Return the ranks of a projection: of a list, or by the names that a rank may have in version 0.4."""
    if isinstance(projection.data, dict):
        return [node for _, node in projection.items()]
    return projection.list()


def _rank(rank: Node, dimensions: list[str], defaults: dict[str, int]) -> str:
    """Return a rank, a sum of products, as this program writes it."""
    if not isinstance(rank.data, list):
        return _word(rank, dimensions, defaults)
    terms = []
    for term in rank.list():
        factors = term.list() if isinstance(term.data, list) else [term]
        terms.append(" * ".join(_word(factor, dimensions, defaults) for factor in factors))
    return " + ".join(terms)


def _word(node: Node, dimensions: list[str], defaults: dict[str, int]) -> str:
    word = node.text()
    if word not in dimensions and word not in defaults and not word.isdecimal():
        node.refuse(f"'{word[:60]}' is neither a dimension nor a coefficient of the shape")
    elif not word.isdecimal() and not is_identifier(word):
        node.refuse(f"'{word[:60]}' cannot name a dimension here", "letters, digits and underscores may")
    return word
