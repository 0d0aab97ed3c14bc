"""The best mapping, even or uneven, with proof."""

from __future__ import annotations

import math

from procrustes_model.errors import Issue, SpecError
from procrustes_model.kernels.dense.arrays import Bools
from procrustes_model.kernels.search.arrays import SLACK
from procrustes_model.mapper.deadline import OutOfTime
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.paths import is_eligible
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.optimal.tables import Tables
from procrustes_model.mapper.result import Certificate
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.task import compile_labels
from procrustes_model.mapper.uneven.paths import UnevenPaths
from procrustes_model.mapper.uneven.space import UnevenSpace, unfold_space
from procrustes_model.vocabulary import Searched


def _check(space: UnevenSpace) -> None:
    """Raise where shortest paths, which alone know layouts, bound nothing."""
    if not is_eligible(space):
        message = "uneven mappings are searched by shortest paths, which do not know all of this machine"
        hint = (
            "networks that cost nothing, no 'through', 'resident' or 'sum_bits', at most two dimensions in a"
            " rank, and few tensors at levels; or leave out --uneven"
        )
        raise SpecError(Issue(message, hint, space.architecture.name))


def search_uneven_space(
    space: Space, incumbent: Incumbent, *, seed: int = 0, threads: int = 1
) -> tuple[Certificate, UnevenSpace]:
    """Search among all even and uneven mappings with whole passes.

    The best even one comes first, with proof, and then whatever is better than it.

    Parameters
    ----------
    space : Space
        Of even mappings.
    incumbent : Incumbent
        Changed in place; its mapping is one of the space that is returned.
    seed, threads : int
        As the search of even mappings takes them.

    Returns
    -------
    Certificate
        `even` is the value of the best even mapping, where that is proven.
    UnevenSpace

    Raises
    ------
    SpecError
        When the machine, the problem or constraints are such that no bounds of uneven mappings are known.
    """
    unfolded = unfold_space(space)
    _check(unfolded)
    first = Optimal(space, incumbent, threads, before_labels=compile_labels).run(seed)
    incumbent.measured = first.measured
    if incumbent.nests is not None:
        incumbent.nests = unfolded.spread_out(incumbent.nests)
    lowest, paths, choices, excluded = _decide(unfolded, incumbent, first)
    value = incumbent.value
    bound = min(value, lowest)
    return Certificate(
        proven=bool(bound >= value * (1 - SLACK)),
        value=float(value),
        lower_bound=float(bound),
        mapspace=None,
        complete=not incumbent.late,
        proof="paths",
        patterns=choices,
        patterns_pruned=excluded,
        measured=incumbent.measured + (paths.walked if paths else 0),
        searched=Searched.UNEVEN,
        even=first.value if first.proven and math.isfinite(first.value) else None,
    ), unfolded


def _decide(
    space: UnevenSpace, incumbent: Incumbent, first: Certificate
) -> tuple[float, UnevenPaths | None, int, int]:
    """Return the least that a mapping may come to, the paths, and choices of what levels keep."""
    assert space.even is not None
    choices = excluded = 0
    known = 0.0
    try:
        paths = UnevenPaths(Tables(space), incumbent)
        if paths.road is None:
            return known, None, 0, 0
        queue: list[tuple[float, int, Bools]] = []
        for number, keep in space.even.numbered_patterns(inside_first=True):
            incumbent.deadline.check()
            bound = paths.bound_layout(next(space.orders_of(keep)))
            choices += 1
            if bound * (1 - SLACK) > incumbent.value or not math.isfinite(bound):
                excluded += 1
                continue
            queue.append((bound, number, keep))
    except OutOfTime:
        return known, None, choices, excluded
    queue.sort(key=lambda row: row[:2])
    lowest = math.inf
    for i, (bound, _, keep) in enumerate(queue):
        if bound * (1 - SLACK) > incumbent.value:
            excluded += len(queue) - i
            break
        if incumbent.late:
            return min(lowest, bound), paths, choices, excluded
        incumbent.share, incumbent.lower_bound = i / len(queue), min(lowest, bound, first.value)
        incumbent.tell()
        for laid in space.orders_of(keep):
            lowest = min(lowest, max(bound, paths.decide_layout(laid)))
            if incumbent.late:
                return min(lowest, bound), paths, choices, excluded
    return lowest, paths, choices, excluded
