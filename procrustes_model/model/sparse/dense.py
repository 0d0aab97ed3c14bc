"""Whether a sparse design does anything to a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.errors import SpecError
from procrustes_model.model.components import working_components
from procrustes_model.model.design import OWN_RULES, lower_rules
from procrustes_model.model.sparse.lower import SparseDesign, lower_sparsity

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.zeros import Zeros


def does_nothing(design: SparseDesign, architecture: Architecture, problem: Problem) -> bool:
    """Return whether every mapping costs under a sparse design what it costs without one.

    Nothing is zero, compressed, skipped, charged for balancing or counted by other rules, and no component
    works that does not work on the dense machine. Masks are not looked into: with one, the answer is no.
    """
    charged = design.balance.tensor >= 0 and design.balance.pointer_level >= 0
    fits_as_dense = design.capacity_size == "dense" or design.overflow == "reject"
    return (
        not design.masks.known.any()
        and bool((design.densities.average == 1).all())
        and not design.compressed.any()
        and not len(design.actions.level)
        and not design.packs
        and not design.actions.skip_compute.any()
        and not charged
        and fits_as_dense
        and design.rules == lower_rules(OWN_RULES)
        and design.components == working_components(architecture, problem)
    )


def costs_as_dense(architecture: Architecture, problem: Problem, zeros: Zeros) -> bool:
    """Return what `does_nothing` says of a design with densities and masks of its own.

    False where something is wrong: whoever uses the design says what.
    """
    stated = zeros.sparsity.phase(problem.phase).densities
    if zeros.masks or any(one.is_mask for name, one in stated.items() if name not in zeros.densities):
        return False
    try:
        design = lower_sparsity(architecture, problem, **zeros.arguments())
    except SpecError:
        return False
    return does_nothing(design, architecture, problem)
