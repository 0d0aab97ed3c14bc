"""Where cases are searched: here, on all cores of this machine, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from logging import ERROR
from typing import Any, Protocol
from uuid import uuid4

from procrustes_model.errors import Issue, SpecError
from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.forms import File
from procrustes_model.network.case import Case
from procrustes_model.network.pool import KILLED, run_apart
from procrustes_model.network.progress import RunProgress
from procrustes_model.network.request import Engine
from procrustes_model.network.solve import Outcome, solve
from procrustes_model.processors import count_processors
from procrustes_model.version import how_to_install


class Searches(Protocol):
    """How cases are searched, and where they are kept."""

    @property
    def seconds(self) -> float | None:
        """Time limit of each; None: to its end."""

    @property
    def workers(self) -> int | None:
        """Searches at once; None: all cores."""

    @property
    def engine(self) -> Engine:
        """Where: on this machine, or on a cluster."""

    @property
    def scheduler(self) -> str | None:
        """Address of a Dask scheduler."""

    @property
    def out(self) -> File | None:
        """Folder of finished cases; None: they are not kept."""

    @property
    def progress(self) -> Callable[[RunProgress], None] | None:
        """What is told when a search is done."""


def check_engine(request: Searches) -> None:
    """Raise a SpecError unless what the engine of a request needs is installed."""
    from importlib.util import find_spec

    if request.engine == "dask" and find_spec("distributed") is None:
        raise SpecError(Issue("the engine dask needs dask.distributed", how_to_install("cluster")))


def longest(count: int, request: Searches) -> float | None:
    """Return the seconds that searches take at most; None without a limit, or on a cluster of others."""
    if request.seconds is None or request.scheduler is not None:
        return None
    processes = max(1, min(request.workers or count_processors(), count))
    return -(-count // processes) * request.seconds


def run_cases(cases: Sequence[Case], request: Searches) -> Iterator[Outcome]:
    """Search cases, and yield what is found in the order in which it is found.

    Each is searched in one thread, several at a time; the order does not change what is found. A worker that
    is killed costs its own case alone.

    Parameters
    ----------
    cases : sequence of Case
        Started in this order.
    request : Searches
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
    yield from run_apart(cases, limit, processes)


def _run_on_dask(
    cases: Sequence[Case], limit: float | None, workers: int | None, scheduler: str | None
) -> Iterator[Outcome]:
    from dask import distributed

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
        killed: list[Case] = []
        yield from _share_out(cases, limit, client, killed)
        for case in killed:  # one at a time: who shares a worker with such a case may be taken for one
            lost: list[Case] = []
            yield from _share_out([case], limit, client, lost)
            if lost:
                yield case.key, (KILLED,)


def _share_out(
    cases: Sequence[Case], limit: float | None, client: Any, killed: list[Case]
) -> Iterator[Outcome]:
    """Search cases on a cluster, and add to `killed` those whose workers were killed again and again."""
    from dask import distributed

    as_completed: Any = distributed.as_completed
    futures = {
        client.submit(solve, case, limit, program_fingerprint(), key=f"{case.key}-{uuid4().hex}"): case
        for case in cases
    }
    try:
        for future in as_completed(list(futures)):
            try:
                outcome: Outcome = future.result()
            except distributed.KilledWorker:
                killed.append(futures[future])
                continue
            yield outcome
    finally:
        client.cancel(list(futures), force=True)
