"""What is zero in one problem: a sparse design, with densities and masks of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import Source
from procrustes_model.spec.sparsity import Sparsity


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


def check_zeros(
    sparsity: Source | Sparsity | None, densities: Mapping[str, Any] | None, masks: Mapping[str, Any] | None
) -> None:
    """Raise a SpecError when densities or masks come without a sparse design."""
    if sparsity is None and (densities or masks):
        raise SpecError(Issue("densities and masks need a sparse design", "such as sparsity='procrustes'"))
