"""The Pareto front of energy against cycles, in one search."""

from __future__ import annotations

from dataclasses import replace

from procrustes_model.errors import SpecError
from procrustes_model.mapper.front import FrontIncumbent
from procrustes_model.mapper.nothing import explain
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.request import FrontRequest
from procrustes_model.mapper.result import SearchResult
from procrustes_model.mapper.task import compile_labels, make_task
from procrustes_model.objective import parse_limits
from procrustes_model.options import verb


@verb(FrontRequest)
def find_pareto_front(request: FrontRequest) -> tuple[SearchResult, ...]:
    """Find all mappings to which no other is preferable in both energy and cycles, one for each pair.

    A KeyboardInterrupt stops the search, which then returns the points so far.

    Returns
    -------
    tuple of SearchResult
        From least energy to fewest cycles.

    Raises
    ------
    SpecError
        When a specification is wrong; when no mapping is valid or within the limits, with the reason; or when
        none was found in time.

    Notes
    -----
    Each point has the least energy of all mappings that take fewer cycles than the point before. A search
    that is cut says of each how much less there may be.
    """
    task = make_task(request)
    space = task.space
    aim = parse_limits(request.limits)
    front = FrontIncumbent(aim, space.deadline, request.progress, space.power)
    search = Optimal(space, front, task.threads, before_labels=compile_labels)
    interrupted = False
    try:
        certificate = search.run(request.seed)
    except KeyboardInterrupt:
        if not front.points:
            raise
        interrupted, certificate = True, search.cut_short()
    if not front.points:
        raise SpecError(explain(space, aim))
    found = []
    for point, best_of, proof in front.certify(certificate)[: request.points]:
        alone = replace(front, objective=best_of, energy=point.energy, cycles=point.cycles, nests=point.nests)
        found.append(task.conclude(alone, proof, "optimal", interrupted=interrupted))
    return tuple(found)
