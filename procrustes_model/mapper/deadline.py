"""The limit of a search, in time or in work: one object, which all stages look at again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class OutOfTime(Exception):  # noqa: N818  # what ends a stage, not what went wrong in it
    """Raised by `Deadline.check`: a stage ends here, and says what it has."""


@dataclass
class Deadline:
    """When to stop; it begins when it is made.

    Work is counted by one thread, when the others are done with what they share: where it ends a search does
    not depend on the machine, nor on the number of threads.

    Attributes
    ----------
    seconds : float, optional
        None: never.
    clock : callable
        Returns seconds.
    effort : int, optional
        Most work, in mappings and parts of mappings looked at; None: any.
    whole : Deadline, optional
        What this one is a part of; its work counts there, too.
    """

    seconds: float | None = None
    clock: Callable[[], float] = time.perf_counter
    effort: int | None = None
    whole: Deadline | None = None
    spent: int = field(default=0, init=False)
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self.clock() - self.begun

    @property
    def limited(self) -> bool:
        """Whether it ever is late."""
        return self.seconds is not None or self.effort is not None

    @property
    def late(self) -> bool:
        """Whether the time is over, or the work done."""
        if self.effort is not None and self.spent >= self.effort:
            return True
        return self.seconds is not None and self.elapsed > self.seconds

    @property
    def limit(self) -> str:
        """What there is of time, or else of work, in words."""
        return f"{self.seconds:g} s" if self.seconds is not None else f"an effort of {self.effort:,}"

    @property
    def over(self) -> str:
        """The limit that is reached, in words; empty where none is."""
        if self.seconds is not None and self.elapsed > self.seconds:
            return f"{self.seconds:g} s"
        return f"an effort of {self.effort:,}" if self.late else ""

    def spend(self, work: int) -> None:
        """Count work."""
        self.spent += work
        if self.whole is not None:
            self.whole.spend(work)

    @contextmanager
    def counted_later(self, work: int) -> Iterator[None]:
        """Let work that is done as a whole, whatever the limit, count when it is done."""
        effort, self.effort = self.effort, None
        try:
            yield
        finally:
            self.effort = effort
            self.spend(work)

    def check(self) -> None:
        """Raise `OutOfTime` when the time is over."""
        if self.late:
            raise OutOfTime

    def part(self, share: float, least: float = 0.0) -> Deadline:
        """Return a deadline after a share of the time and the work left, at least after some seconds."""
        left = None if self.seconds is None else max(least, (self.seconds - self.elapsed) * share)
        work = None if self.effort is None else int(max(0, self.effort - self.spent) * share)
        return Deadline(left, self.clock, work, self)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let what is done inside take no time: kernels are compiled once, whatever is searched."""
        before = self.clock()
        try:
            yield
        finally:
            self.leave_out(self.clock() - before)

    def leave_out(self, seconds: float) -> None:
        """Let so much of the time that has gone by not count."""
        self.begun += seconds


def slices(count: int, size: int, deadline: Deadline) -> Iterator[slice]:
    """Yield slices of `count` things, none longer than `size`, with a look at the time before each.

    Raises
    ------
    OutOfTime
    """
    for first in range(0, count, size):
        deadline.check()
        deadline.spend(min(size, count - first))
        yield slice(first, min(first + size, count))
