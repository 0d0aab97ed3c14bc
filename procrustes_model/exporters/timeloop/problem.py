"""A problem with its shape in place and its densities, as Timeloop 0.4 has them."""

from __future__ import annotations

from typing import Any

from procrustes_model.exporters.timeloop.machine import VERSION
from procrustes_model.exporters.timeloop.model import Model
from procrustes_model.spec.problem import Term

DISTRIBUTIONS = {"fixed": "fixed_structured", "hypergeometric": "hypergeometric"}
"""By density model; what is not here cannot be said."""


def write_problem(model: Model) -> dict[str, Any]:
    """Return the problem; coefficients are named after their values."""
    problem = model.problem
    factors: dict[int, str] = {}
    spaces = []
    for tensor in problem.tensors:
        ranks = [[_term(term, factors) for term in rank] for rank in tensor.ranks]
        spaces.append({"name": tensor.name, "projection": ranks} | _written(tensor.is_output))
    shape = {
        "name": problem.shape,
        "dimensions": list(problem.dimensions),
        "coefficients": [{"name": name, "default": factor} for factor, name in sorted(factors.items())],
        "data_spaces": spaces,
    }
    instance: dict[str, Any] = dict(problem.dimensions)
    densities = _densities(model)
    if densities:
        instance["densities"] = densities
    return {"problem": {"version": VERSION, "shape": shape, "instance": instance}}


def _term(term: Term, factors: dict[int, str]) -> list[str]:
    if term.coefficient == 1:
        return [term.dimension]
    return [term.dimension, factors.setdefault(term.coefficient, f"by{term.coefficient}")]


def _written(is_output: bool) -> dict[str, bool]:
    return {"read_write": True} if is_output else {}


def _densities(model: Model) -> dict[str, Any]:
    return {
        name: {"distribution": DISTRIBUTIONS[density.model], "density": density.density}
        for name, density in model.densities.items()
        if density.model in DISTRIBUTIONS
    }
