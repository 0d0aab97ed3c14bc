"""What is zero in one problem: a sparse design, with densities and masks of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import Source
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.spec.text.densities import by_tensor, parse_tensor_densities


@dataclass(frozen=True, eq=False)
class Zeros:
    """A sparse design with densities and masks of its own.

    Attributes
    ----------
    sparsity : Sparsity
    densities, masks : mapping
        By tensor, in place of the design's; as `evaluate` takes them.
    """

    sparsity: Sparsity
    densities: Mapping[str, Any] = field(default_factory=dict)
    masks: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments with which `evaluate` and `search` take it."""
        return {"sparsity": self.sparsity, "densities": self.densities, "masks": self.masks}


def zeros_by_tensor(given: Mapping[str, Any] | str | None, problem: Problem) -> dict[str, Any]:
    """Return densities or masks by the names of a problem's tensors.

    Parameters
    ----------
    given : mapping or str, optional
        By name or letter (W weights, X input, Y output); densities also as text such as ``W=0.1,X=0.5``.
    problem : Problem

    Raises
    ------
    SpecError
        When a text is no densities, or a tensor is given twice.
    """
    names = [tensor.name for tensor in problem.tensors]
    if isinstance(given, str):
        return dict(parse_tensor_densities(given, names, problem.roles, problem.name))
    return by_tensor(given or {}, names, problem.roles, problem.name)


def check_zeros(
    sparsity: Source | Sparsity | None,
    densities: Mapping[str, Any] | str | None,
    masks: Mapping[str, Any] | None,
) -> None:
    """Raise a SpecError when densities or masks come without a sparse design."""
    if sparsity is None and (densities or masks):
        raise SpecError(Issue("densities and masks need a sparse design", "such as sparsity='procrustes'"))
