"""Searches among mappings with and without shorter last passes."""

from __future__ import annotations

import math
from contextlib import suppress

from procrustes_model.kernels.search.arrays import SLACK
from procrustes_model.mapper.deadline import OutOfTime
from procrustes_model.mapper.imperfect.padded import offer_padded
from procrustes_model.mapper.imperfect.passes import PassPaths, is_eligible
from procrustes_model.mapper.imperfect.space import imperfect_size, search_imperfect_exhaustive
from procrustes_model.mapper.imperfect.steps import Fewest, find_fewest_steps
from procrustes_model.mapper.imperfect.walk import STEPS, WAYS, search_imperfect, whole_passes
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.compulsory import Compulsory
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.result import Certificate
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.task import compile_labels, compile_passes
from procrustes_model.vocabulary import Searched


def bound_imperfect(space: Space, incumbent: Incumbent, fewest: Fewest | None = None) -> float:
    """Return what the objective of no mapping falls below, with shorter last passes or without.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
    fewest : Fewest, optional
        Of the space.
    """
    known = fewest or find_fewest_steps(space)
    energy, work = space.model.base, space.model.work
    steps = float(known.bound if work == 1 else math.ceil(known.bound * work * (1 - SLACK)))
    with space.hurried(), suppress(OutOfTime):  # what is known then holds
        if incumbent.objective.energy_power:
            energy = Compulsory(space).least()
    return incumbent.score_bound(energy, steps)


def walk_passes(space: Space, incumbent: Incumbent) -> float:
    """Offer the nests of shortest paths over numbers of passes, and return what no mapping falls below.

    Half of the time that is left may go to them. 0 where they bound nothing.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
        Changed in place.
    """
    aim = incumbent.objective
    minds_energy = aim.energy_power > 0 or math.isfinite(aim.most_energy)
    if not minds_energy or not is_eligible(space):
        return 0.0
    with space.deadline.suspended():
        compile_passes()
    with space.hurried(), suppress(OutOfTime):
        return PassPaths(space, incumbent).decide()
    return 0.0


def compile_unequal(space: Space) -> None:
    """Compile what counts instances that differ, which a short walk may never meet."""
    nests = space.nests(1)
    last = whole_passes(nests)
    nests.spatial[:, 0, 0] = 2
    space.evaluator.evaluate(*nests, last=last, accesses=False)


def search_imperfect_space(
    space: Space,
    incumbent: Incumbent,
    method: str,
    *,
    mappings: int | None = None,
    seed: int = 0,
    threads: int = 1,
) -> Certificate:
    """Search among all mappings with and without shorter last passes.

    Parameters
    ----------
    space : Space
    incumbent : Incumbent
        Changed in place.
    method : str
        'optimal': the best mapping with whole passes, with proof, then shortest paths over numbers of passes;
        where these leave a gap, mappings of larger bounds, and seeded walks from there and from other places.
        The result is never worse. 'random': the walks alone.
        'exhaustive': every mapping.
    mappings : int, optional
        Budget of the walks.
    seed : int
    threads : int

    Returns
    -------
    Certificate
        Proven where every mapping was tried, or the value meets a bound that holds for all of them. `whole`
        is the value of the best mapping with whole passes, where that is proven.

    Raises
    ------
    SpecError
        When the space is too large to be tried exhaustively.
    """
    bound, first, complete = 0.0, None, False
    try:
        if method == "exhaustive":
            complete = search_imperfect_exhaustive(space, incumbent, threads)
            if not complete and incumbent.nests is None:
                search_imperfect(space, incumbent, mappings=WAYS * STEPS, seed=seed, threads=threads)
        else:
            fewest = find_fewest_steps(space)
            bound = bound_imperfect(space, incumbent, fewest)
            if method == "optimal":
                first = Optimal(space, incumbent, threads, before_labels=compile_labels).run(seed)
                incumbent.measured = first.measured
            incumbent.lower_bound = bound
            if method == "optimal" and not incumbent.value <= bound:
                bound = incumbent.lower_bound = max(bound, walk_passes(space, incumbent))
            if method == "optimal" and not incumbent.value <= bound * (1 + SLACK):
                offer_padded(space, incumbent, fewest, threads, seed)
            if not incumbent.value <= bound * (1 + SLACK):
                endless = method == "random" and incumbent.deadline.seconds is not None
                budget = None if mappings is None and endless else mappings or WAYS * STEPS
                search_imperfect(space, incumbent, mappings=budget, seed=seed, threads=threads)
    except KeyboardInterrupt:
        if incumbent.nests is None:
            raise
        incumbent.interrupted = True
    value = incumbent.value
    proven = complete or value <= bound * (1 + SLACK)
    return Certificate(
        proven=proven,
        value=value,
        lower_bound=value if proven else bound,
        mapspace=imperfect_size(space),
        complete=complete,
        patterns=first.patterns if first else 0,
        patterns_pruned=first.patterns_pruned if first else 0,
        measured=incumbent.measured,
        pruned=first.pruned if first else {},
        searched=Searched.SHORTER,
        whole=first.value if first and first.proven and math.isfinite(first.value) else None,
    )
