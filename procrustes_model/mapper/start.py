"""A user's mapping that a search begins from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from procrustes_model.errors import SpecError
from procrustes_model.forms import Source
from procrustes_model.kernels.dense.arrays import Ints, NestArrays
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.obey import find_breach
from procrustes_model.mapper.task import Task
from procrustes_model.model.lower import lower_last_passes, lower_mapping
from procrustes_model.model.uneven import refuse_uneven
from procrustes_model.objective import Objective
from procrustes_model.spec.mapping import Mapping


@dataclass(frozen=True)
class Start:
    """A mapping to begin from.

    Attributes
    ----------
    energy, cycles : float
        What it costs.
    nests : NestArrays
    last : int64[1, L, 3, D] or None
        Factors in last passes; None where all passes are whole. Such a mapping is taken at once, the
        others after the proof, which is of whole passes.
    """

    energy: float
    cycles: float
    nests: NestArrays
    last: Ints | None

    def offer_to(self, incumbent: Incumbent) -> bool:
        """Make it the best so far, if it is, and say whether."""
        before = incumbent.nests
        incumbent.offer(self.energy, self.cycles, self.nests, self.last)
        return incumbent.nests is not before


def read_start(source: Source | Mapping, task: Task, aim: Objective, imperfect: bool) -> Start:
    """Return the mapping that a search is to begin from.

    Parameters
    ----------
    source : path, str, mapping or Mapping
    task : Task
        What is searched.
    aim : Objective
    imperfect : bool
        Whether last passes may be shorter.

    Raises
    ------
    SpecError
        When it is not valid, or not one that the search may find.
    """
    space = task.space
    mapping = task.evaluator.read(source)
    refuse_uneven(mapping, "a search begins from one in which all tensors of a level stand together")
    if mapping.imperfect and not imperfect:
        raise SpecError(mapping.issue("the search has whole passes only", "add --imperfect"))
    if not mapping.imperfect:
        breach = find_breach(mapping, space.constraints, space.architecture, space.problem)
        if breach is not None:
            raise SpecError(mapping.issue("constraints do not allow the mapping to begin from", breach))
    cost = task.evaluator.evaluate(mapping)
    energy, cycles = float(cost.energy_pj), float(cost.cycles)
    if not aim.allows(np.array([energy]), np.array([cycles])).all():
        raise SpecError(mapping.issue(f"the mapping to begin from is beyond the limits of {aim}"))
    last = lower_last_passes(space.problem, mapping) if mapping.imperfect else None
    return Start(energy, cycles, lower_mapping(space.problem, mapping), last)
