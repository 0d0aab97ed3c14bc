"""Searches in processes of their own, of which any may be killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from procrustes_model.errors import Issue
from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.network.case import Case
from procrustes_model.network.solve import Outcome, solve

KILLED = Issue(
    "the process that searched was killed, twice",
    "likely for want of memory: fewer --workers leave each more",
)
"""What is said of a case whose process was killed, also when it ran alone."""

_ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def _begin(starter: int) -> None:
    """Prepare a new process: it leaves interrupts to its starter, and ends soon after that one has."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=(starter,), daemon=True).start()


def _end_after(starter: int) -> None:
    """End this process when its starter is gone, as after a kill: nobody waits for what it searches."""
    while os.getppid() == starter:
        time.sleep(1)
    os._exit(1)


class _Worker:
    """One process, started when it is first needed, and again when it was killed."""

    def __init__(self) -> None:
        self._executor: Any = None

    def start(self, case: Case, limit: float | None) -> Future[Outcome]:
        """Begin to search a case."""
        from joblib.externals.loky import ProcessPoolExecutor

        task = solve, case, limit, program_fingerprint()
        for _ in range(2):  # it may have been killed since its last case
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    1, initializer=_begin, initargs=(os.getpid(),), env=_ONE_THREAD
                )
            try:
                future: Future[Outcome] = self._executor.submit(*task)
            except BrokenProcessPool:
                self.stop()
            else:
                return future
        raise BrokenProcessPool("a new process ended before it was given a case")

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None


def run_apart(cases: Sequence[Case], limit: float | None, processes: int) -> Iterator[Outcome]:
    """Search cases in several processes, and yield what is found in the order in which it is found.

    A process that is killed, such as for want of memory, takes no other with it: its case is searched once
    more, alone, after all others.

    Parameters
    ----------
    cases : sequence of Case
        Started in this order.
    limit : float or None
        Seconds of each search.
    processes : int
        At a time.

    Yields
    ------
    Outcome
    """
    killed: list[Case] = []
    yield from _share_out(cases, limit, processes, killed)
    again, killed = killed, []
    yield from _share_out(again, limit, 1, killed)
    for case in killed:
        yield case.key, (KILLED,)


def _share_out(
    cases: Sequence[Case], limit: float | None, processes: int, killed: list[Case]
) -> Iterator[Outcome]:
    """Search cases, one at a time in each process, and add to `killed` those whose process was killed."""
    # A process of its own for each, and no pool: one that breaks says only that some case was to blame.
    waiting, idle = deque(cases), [_Worker() for _ in range(min(processes, len(cases)))]
    busy: dict[Future[Outcome], tuple[_Worker, Case]] = {}
    try:
        while waiting or busy:
            while waiting and idle:
                worker, case = idle.pop(), waiting.popleft()
                busy[worker.start(case, limit)] = worker, case
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                worker, case = busy.pop(future)
                try:
                    outcome = future.result()
                except BrokenProcessPool:
                    killed.append(case)
                    worker.stop()
                    idle.append(worker)
                    continue
                idle.append(worker)
                yield outcome
            while idle and not waiting:  # none is left behind idle, should this process be killed
                idle.pop().stop()
    finally:
        for worker in (*idle, *(worker for worker, _ in busy.values())):
            worker.stop()
