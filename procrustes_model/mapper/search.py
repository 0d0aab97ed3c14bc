"""The verb: find the best mapping of a problem on an architecture."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from procrustes_model.errors import SpecError
from procrustes_model.kernels.sparse.arrays import ChoiceArrays
from procrustes_model.mapper.exhaustive import search_exhaustive
from procrustes_model.mapper.imperfect.search import compile_unequal, search_imperfect_space
from procrustes_model.mapper.incumbent import Incumbent
from procrustes_model.mapper.nothing import explain
from procrustes_model.mapper.optimal.search import Optimal
from procrustes_model.mapper.random_search import search_random
from procrustes_model.mapper.request import Method, SearchRequest
from procrustes_model.mapper.result import Certificate, SearchResult
from procrustes_model.mapper.space import Space
from procrustes_model.mapper.start import read_start
from procrustes_model.mapper.task import Run, Task, compile_labels, make_task
from procrustes_model.mapper.uneven.search import search_uneven_space
from procrustes_model.objective import parse_objective
from procrustes_model.options import verb

BUDGET = 1_000_000
"""Mappings of a random search that is given neither a budget nor a time limit."""


def _prove(space: Space, incumbent: Incumbent, request: SearchRequest, threads: int) -> Certificate:
    return Optimal(space, incumbent, threads, before_labels=compile_labels).run(request.seed)


def _walk(space: Space, incumbent: Incumbent, request: SearchRequest, threads: int) -> Certificate:
    budget = BUDGET if request.mappings is None and request.limit is None else request.mappings
    search_random(space, incumbent, mappings=budget, seed=request.seed, threads=threads)
    return _certify(space, incumbent, complete=False)


def _try_all(space: Space, incumbent: Incumbent, _: SearchRequest, __: int) -> Certificate:
    return _certify(space, incumbent, complete=search_exhaustive(space, incumbent))


def _search_imperfect(
    space: Space, incumbent: Incumbent, request: SearchRequest, threads: int
) -> Certificate:
    return search_imperfect_space(
        space,
        incumbent,
        request.method,
        mappings=request.mappings,
        seed=request.seed,
        threads=threads,
    )


_RUNS: dict[Method, Callable[[Space, Incumbent, SearchRequest, int], Certificate]] = {
    "optimal": _prove,
    "random": _walk,
    "exhaustive": _try_all,
}
"""What searches among mappings with whole passes, by method."""


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
        When a specification is wrong; when no mapping is valid or within the limits, with the reason; when
        none was found in time; or when the space is too large for the method.
    """
    if request.formats == "auto":
        from procrustes_model.mapper.format_search import search_formats

        return search_formats(request, find, briefly(request.method, request.imperfect))
    task, incumbent, certificate, interrupted = find(request)
    return task.conclude(incumbent, certificate, request.method, interrupted=interrupted)


def bound_all(request: SearchRequest) -> Callable[[], float]:
    """Return what bounds the objective of all mappings, cheaply; kernels are compiled before."""
    task = make_task(request)
    incumbent = Incumbent(parse_objective(request.objective), task.space.deadline, power=task.space.power)
    return Optimal(task.space, incumbent, task.threads).least


def find(
    request: SearchRequest,
    choices: ChoiceArrays | None = None,
    beat: tuple[float, float] | None = None,
) -> tuple[Task, Incumbent, Certificate, bool]:
    """Search, and return what is known; last, whether the user stopped it.

    Parameters
    ----------
    request : SearchRequest
    choices : ChoiceArrays, optional
        As `make_task` takes it.
    beat : (float, float), optional
        Energy and cycles that are known from elsewhere: only a better mapping is of interest, and there may
        be none.
    """
    aim = parse_objective(request.objective)
    run = _search_imperfect if request.imperfect else _RUNS[request.method]
    task = make_task(request, briefly(request.method, request.imperfect), choices)
    space = task.space
    incumbent = Incumbent(aim, space.deadline, request.progress, space.power)
    if beat is not None:
        incumbent.energy, incumbent.cycles = beat
    interrupted = False
    start = None if request.start is None else read_start(request.start, task, aim, request.imperfect)
    if start is not None and start.last is None:
        start.offer_to(incumbent)
    try:
        if request.uneven:
            certificate, unfolded = search_uneven_space(
                space, incumbent, seed=request.seed, threads=task.threads
            )
            task = replace(task, space=unfolded)
        else:
            certificate = run(space, incumbent, request, task.threads)
    except KeyboardInterrupt:
        if incumbent.nests is None and beat is None:
            raise
        interrupted, certificate = True, _certify(space, incumbent, complete=False)
    if start is not None and start.last is not None and start.offer_to(incumbent):
        certificate = replace(certificate, value=incumbent.value, proven=False)
    if incumbent.nests is None and beat is None:
        budget = f"{request.mappings or BUDGET:,} mappings" if request.limit is None else space.deadline.limit
        raise SpecError(explain(space, aim, budget if request.method == "random" else None))
    return task, incumbent, certificate, interrupted or incumbent.interrupted


@functools.cache
def briefly(method: Method, imperfect: bool) -> Run:
    """Return what searches in a certain way, briefly, to compile what that takes."""
    run = _search_imperfect if imperfect else _RUNS[method]
    budget = 16 if imperfect or method == "random" else None

    def search_briefly(space: Space, incumbent: Incumbent) -> None:
        machine, problem = space.architecture, space.problem
        asked = SearchRequest(machine, problem, method=method, imperfect=imperfect, mappings=budget)
        if imperfect:
            compile_unequal(space)
        run(space, incumbent, asked, 1)

    return search_briefly


def _certify(space: Space, incumbent: Incumbent, *, complete: bool) -> Certificate:
    """Return what a search without a certificate knows; `complete` says that it tried every mapping.

    Mappings that spread over more instances than there are, some of which a sparse design leaves out, are not
    among them.
    """
    wider = space.design is not None and bool(space.design.pack.spaced.any())
    least = 0.0 if wider else min(incumbent.lower_bound, incumbent.value)
    return Certificate(
        proven=complete and not wider,
        complete=complete,
        value=incumbent.value,
        lower_bound=incumbent.value if complete and not wider else least,
        mapspace=space.size(),
        measured=incumbent.measured,
    )
