"""Where cases are searched: here, on all cores of this machine, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from logging import ERROR
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.network.case import Case
from procrustes_model.network.request import NetworkRequest
from procrustes_model.network.solve import Outcome, solve, solve_apart
from procrustes_model.processors import count_processors


def check_engine(request: NetworkRequest) -> None:
    """Raise a SpecError unless what the engine of a request needs is installed."""
    from importlib.util import find_spec

    if request.engine == "dask" and find_spec("distributed") is None:
        raise SpecError(
            Issue("the engine dask needs dask.distributed", "pip install 'procrustes-model[cluster]'")
        )


def run_cases(cases: Sequence[Case], request: NetworkRequest) -> Iterator[Outcome]:
    """Search cases, and yield what is found in the order in which it is found.

    Each is searched in one thread, several at a time; the order does not change what is found.

    Parameters
    ----------
    cases : sequence of Case
        Started in this order.
    request : NetworkRequest
        Its time limit, engine, workers and scheduler.

    Yields
    ------
    Outcome
    """
    limit = request.seconds
    if request.engine == "dask":
        yield from _run_on_dask(cases, limit, request.workers, request.scheduler)
        return
    processes = min(request.workers or count_processors(), len(cases))
    if processes <= 1:
        for case in cases:
            yield solve(case, limit)
        return
    from joblib import Parallel, delayed

    # A case at a time: what is finished is kept at once, and short cases fill the gaps at the end.
    pool = Parallel(processes, backend="loky", return_as="generator_unordered", batch_size=1)
    yield from _closing(pool(delayed(solve_apart)(case, limit, program_fingerprint()) for case in cases))


def _run_on_dask(
    cases: Sequence[Case], limit: float | None, workers: int | None, scheduler: str | None
) -> Iterator[Outcome]:
    from dask import distributed
    from joblib import Parallel, delayed, parallel_config

    cluster: Any = distributed.LocalCluster
    connect: Any = distributed.Client
    with ExitStack() as stack:
        address: Any = scheduler
        if scheduler is None:
            count = workers or count_processors()
            address = stack.enter_context(
                cluster(n_workers=count, threads_per_worker=1, dashboard_address=None, silence_logs=ERROR)
            )
        try:
            client = stack.enter_context(connect(address, timeout="15s"))
        except (OSError, ValueError) as error:
            raise SpecError(Issue(f"no Dask scheduler answers at {scheduler}: {error}")) from None
        del client
        with parallel_config(backend="dask"):
            pool = Parallel(workers or -1, return_as="generator_unordered", batch_size=1)
            yield from _closing(pool(delayed(solve)(case, limit, program_fingerprint()) for case in cases))


def _closing(outcomes: Any) -> Iterator[Outcome]:
    """Yield from joblib's generator, and end its work where this one is left early."""
    try:
        yield from outcomes
    finally:
        outcomes.close()
