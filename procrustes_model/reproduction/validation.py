"""Published validations as data: a file in `validations` is one, with cases and what is published."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools
from procrustes_model.model.evaluator import Evaluator
from procrustes_model.model.result import Result
from procrustes_model.model.sparse.masks import tensor_shape
from procrustes_model.reproduction.request import VALIDATIONS
from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.load import load_architecture, load_problem, load_sparsity
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.text.document import open_document
from procrustes_model.spec.text.expressions import evaluate, parse
from procrustes_model.vocabulary import Phase

_MERGED = ("dimensions", "densities")
_SEED = 0


@dataclass(frozen=True)
class Table:
    """Nonzeros of tensors along a dimension.

    Attributes
    ----------
    along : str
        The dimension.
    nonzeros : dict of str to list of int
        By tensor, of every index of the dimension.
    """

    along: str
    nonzeros: Mapping[str, list[int]]


@dataclass(frozen=True)
class Case:
    """A point of a series: one evaluation, and the same without zeros.

    Attributes
    ----------
    architecture : Architecture
    problem : Problem
    mapping : str or dict
        Name of one that ships, or content of a mapping file.
    sparsity : Sparsity
    densities : dict of str to Any
        By tensor, as `evaluate` takes them.
    masks : dict of str to Bools
    """

    architecture: Architecture
    problem: Problem
    mapping: str | Mapping[str, Any]
    sparsity: Sparsity
    densities: Mapping[str, Any]
    masks: Mapping[str, Bools]

    def sparse(self) -> Result:
        """Return the result under the design."""
        evaluator = Evaluator(
            self.architecture,
            self.problem,
            sparsity=self.sparsity,
            densities=self.densities,
            masks=self.masks,
        )
        return evaluator.evaluate(self.mapping)

    def dense(self) -> Result:
        """Return the result of the same machine where nothing is zero."""
        return Evaluator(self.architecture, self.problem).evaluate(self.mapping)


@dataclass(frozen=True)
class Point:
    """What a validation holds its series against at one place.

    Attributes
    ----------
    name : str
    at : float or None
        Its place on the axis, where there is one.
    published : dict of str to float
        By series; of those that nothing is published of none.
    """

    name: str
    at: float | None
    published: Mapping[str, float]


@dataclass(frozen=True)
class Validation:
    """A published result, and how this model finds its own.

    Attributes
    ----------
    name, title : str
    measure : str
        A name in `measures.MEASURES`.
    published : str
        What is published, and its source.
    reasons : tuple of str
        Why results may differ.
    series : tuple of str
    points : tuple of Point
    axis : str
        What points are placed by; empty: they have names only.
    tensor : str
        Of which something is measured; empty: of all.
    """

    name: str
    title: str
    measure: str
    published: str
    reasons: tuple[str, ...]
    series: tuple[str, ...]
    points: tuple[Point, ...]
    axis: str
    tensor: str
    _content: Mapping[str, Any]

    def case(self, point: int, series: int) -> Case:
        """Return what is evaluated at a point of a series.

        Parameters
        ----------
        point, series : int
            Indices.
        """
        parts = (
            self._content["common"],
            self._content["series"][series],
            self._content["points"][point],
        )
        settings: dict[str, Any] = {}
        for part in parts:
            merged = {key: settings.get(key, {}) | part.get(key, {}) for key in _MERGED}
            settings = settings | part | merged
        return _case(settings, f"{self.name} {self.points[point].name}")


@cache
def load_validations() -> dict[str, Validation]:
    """Return the validations that ship, by name."""
    return {file.stem: _load(file) for file in sorted(VALIDATIONS.glob("*.yaml"))}


def _load(file: Path) -> Validation:
    import yaml

    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    series = tuple(one["name"] for one in content["series"])
    return Validation(
        name=file.stem,
        title=content["title"],
        measure=content["measure"],
        published=content["published"],
        reasons=tuple(content["reasons"]),
        series=series,
        points=tuple(
            Point(one["name"], one.get("at"), _published(one["published"], series))
            for one in content["points"]
        ),
        axis=content.get("axis", ""),
        tensor=content.get("tensor", ""),
        _content=content,
    )


def _published(stated: Any, series: tuple[str, ...]) -> dict[str, float]:
    """Return what is published by series: stated of each, or the same of all; numbers may be arithmetic."""
    by_series = stated if isinstance(stated, dict) else dict.fromkeys(series, stated)
    return {
        name: float(evaluate(parse(value), {})) if isinstance(value, str) else float(value)
        for name, value in by_series.items()
    }


def _case(settings: Mapping[str, Any], name: str) -> Case:
    problem = load_problem(
        {
            "problem": {
                "name": name,
                "shape": settings["shape"],
                "dimensions": _all_dimensions(settings),
                **{key: settings[key] for key in ("coefficients",) if key in settings},
            }
        }
    )
    densities = {
        tensor: {"model": settings["model"], "density": density}
        if "model" in settings and density < 1
        else density
        for tensor, density in settings["densities"].items()
    }
    masks: dict[str, Bools] = {}
    if "table" in settings:
        table = _read_table(settings["table"], settings["name"])
        drawn = {tensor: _draw(problem, tensor, table) for tensor in table.nonzeros}
        if settings["zeros"] == "masks":
            masks = drawn
        else:
            densities |= {tensor: float(mask.mean()) for tensor, mask in drawn.items()}
    return Case(
        load_architecture(settings["architecture"]),
        problem,
        _mapping(settings["mapping"]),
        _design(settings["sparsity"], settings.get("change", {})),
        densities,
        masks,
    )


def _mapping(stated: str | Mapping[str, Any]) -> str | Mapping[str, Any]:
    """Return the name of a mapping that ships, or the content of one that is stated by level."""
    if isinstance(stated, str):
        return stated
    levels = [
        {"level": level, **(loops if isinstance(loops, dict) else {"temporal": loops})}
        for level, loops in stated.items()
    ]
    return {"mapping": {"name": "published", "levels": levels}}


def _all_dimensions(settings: Mapping[str, Any]) -> dict[str, int]:
    """Return bounds of all dimensions of the shape; those that are not stated are 1."""
    shape = open_document(settings["shape"], "shape").section("shape")
    bounds: dict[str, int] = dict.fromkeys(shape["dimensions"], 1)
    bounds |= settings["dimensions"]
    return bounds


def _design(stated: str | Mapping[str, Any], change: Mapping[str, Any]) -> Sparsity:
    """Return a design that ships or is given, with sections of its forward phase changed."""
    if not change:
        return load_sparsity(stated if isinstance(stated, str) else {"sparsity": stated})
    content = dict(open_document(stated, "sparsity").section("sparsity"))
    phases = dict(content.get("phases", {}))
    forward = dict(phases.get(Phase.FORWARD.value, {}))
    for section, by_tensor in change.items():
        forward[section] = {**forward.get(section, {}), **by_tensor}
    phases[Phase.FORWARD.value] = forward
    return load_sparsity({"sparsity": content | {"phases": phases}})


def _read_table(stated: Mapping[str, Any], name: str) -> Table:
    with (VALIDATIONS / stated["file"]).open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(line for line in file if not line.startswith("#"))
            if row[stated["by"]] == name
        ]
    rows.sort(key=lambda row: int(row[stated["index"]]))
    nonzeros = {tensor: [int(row[column]) for row in rows] for tensor, column in stated["nonzeros"].items()}
    return Table(stated["along"], nonzeros)


def _draw(problem: Problem, tensor: str, table: Table) -> Bools:
    """Return a mask with the nonzeros of every index of a dimension, wherever they lie, drawn at random."""
    spec = next(one for one in problem.tensors if one.name == tensor)
    moved = [any(term.dimension == table.along for term in rank) for rank in spec.ranks]
    rng = np.random.default_rng(_SEED)
    mask = np.zeros(tensor_shape(problem, tensor), np.bool_)
    slices = np.moveaxis(mask, moved.index(True), 0)
    for index, count in enumerate(table.nonzeros[tensor]):
        flat = np.zeros(slices[index].size, np.bool_)
        flat[rng.permutation(flat.size)[:count]] = True
        slices[index] = flat.reshape(slices[index].shape)
    return mask
