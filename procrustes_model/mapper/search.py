"""The verb: find the best mapping of a problem on an architecture."""

from __future__ import annotations

from collections.abc import Callable

from procrustes_model.errors import SpecError
from procrustes_model.mapper.exhaustive import search_exhaustive
from procrustes_model.mapper.imperfect.search import search_imperfect_space
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.nothing import explain_limits, explain_nothing
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.random_search import search_random
from procrustes_model.mapper.request import Method, SearchRequest
from procrustes_model.mapper.result import Certificate, SearchResult
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.task import Task, make_task
from procrustes_model.objective import parse_objective
from procrustes_model.options import verb

BUDGET = 1_000_000
"""Mappings of a random search that is given neither a budget nor a time limit."""


def _prove(task: Task, incumbent: Incumbent, request: SearchRequest) -> Certificate:
    return Optimal(task.space, incumbent, task.threads).run(request.seed)


def _walk(task: Task, incumbent: Incumbent, request: SearchRequest) -> None:
    budget = BUDGET if request.mappings is None and request.seconds is None else request.mappings
    search_random(task.space, incumbent, mappings=budget, seed=request.seed, threads=task.threads)


def _try_all(task: Task, incumbent: Incumbent, _: SearchRequest) -> None:
    search_exhaustive(task.space, incumbent)


def _search_imperfect(task: Task, incumbent: Incumbent, request: SearchRequest) -> Certificate:
    return search_imperfect_space(
        task.space,
        incumbent,
        request.method,
        mappings=request.mappings,
        seed=request.seed,
        threads=task.threads,
    )


_RUNS: dict[Method, Callable[[Task, Incumbent, SearchRequest], Certificate | None]] = {
    "optimal": _prove,
    "random": _walk,
    "exhaustive": _try_all,
}
"""What searches among mappings with whole passes, by method; with a certificate where it proves something."""


@verb(SearchRequest)
def search(request: SearchRequest) -> SearchResult:
    """Find the best mapping.

    A KeyboardInterrupt stops the search, which then returns the best mapping so far.

    Returns
    -------
    SearchResult

    Raises
    ------
    SpecError
        When a specification is wrong, or no mapping is valid or within the limits: then with the reason.
    """
    aim = parse_objective(request.objective)
    task = make_task(request)
    space = task.space
    incumbent = Incumbent(aim, request.seconds, request.progress, space.power)
    run = _search_imperfect if request.imperfect else _RUNS[request.method]
    certificate, interrupted = None, False
    try:
        certificate = run(task, incumbent, request)
    except KeyboardInterrupt:
        if incumbent.nests is None:
            raise
        interrupted = True
    if incumbent.nests is None:
        raise SpecError(explain_limits(space, aim) or explain_nothing(space))
    if certificate is None:
        tried_all = request.method == "exhaustive" and not interrupted and not incumbent.late
        certificate = _certify(space, incumbent, tried_all)
    interrupted = interrupted or incumbent.interrupted
    return task.conclude(incumbent, certificate, request.method, interrupted=interrupted)


def _certify(space: Space, incumbent: Incumbent, complete: bool) -> Certificate:
    """Return what a search without a certificate knows; `complete` says that it tried every mapping."""
    return Certificate(
        proven=complete,
        complete=complete,
        value=incumbent.value,
        lower_bound=incumbent.value if complete else min(incumbent.lower_bound, incumbent.value),
        mapspace=space.size(),
        measured=incumbent.measured,
    )
