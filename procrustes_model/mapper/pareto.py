"""The Pareto front of energy against cycles."""

from __future__ import annotations

import math
from dataclasses import replace

from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.request import FrontRequest
from procrustes_model.mapper.result import SearchResult
from procrustes_model.mapper.task import compile_labels, make_task
from procrustes_model.objective import OBJECTIVES
from procrustes_model.options import verb


@verb(FrontRequest)
def find_pareto_front(request: FrontRequest) -> tuple[SearchResult, ...]:
    """Find all mappings to which no other is preferable in both energy and cycles, one for each pair.

    The time limit is that of all searches together; the front is cut short where it is over.

    Returns
    -------
    tuple of SearchResult
        From least energy to fewest cycles; empty where no mapping is valid.

    Notes
    -----
    Each point has the least energy of all mappings that take fewer cycles than the point before.
    """
    task = make_task(request)
    deadline = task.space.deadline
    front: list[SearchResult] = []
    objective, fewest = OBJECTIVES["energy"], math.inf
    while len(front) < request.points and fewest > 1 and not (front and deadline.late):
        incumbent = Incumbent(objective, deadline, request.progress, task.space.power)
        certificate = Optimal(task.space, incumbent, task.threads, before_labels=compile_labels).run(
            request.seed
        )
        if incumbent.nests is None:
            break
        found = task.conclude(incumbent, certificate, "optimal")
        if front and front[-1].result.energy_pj >= found.result.energy_pj:
            front.pop()
        front.append(found)
        fewest = incumbent.cycles
        objective = replace(objective, most_cycles=max(1.0, fewest - 1))
    if front and deadline.late:
        front[-1] = replace(front[-1], stopped=deadline.over)
    return tuple(front)
