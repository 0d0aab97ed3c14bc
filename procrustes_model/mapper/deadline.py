"""The time limit of a search: one object, which every stage looks at between two short pieces of work."""

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

    Attributes
    ----------
    seconds : float, optional
        None: never.
    clock : callable
        Returns seconds.
    """

    seconds: float | None = None
    clock: Callable[[], float] = time.perf_counter
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self.clock() - self.begun

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return self.seconds is not None and self.elapsed > self.seconds

    def check(self) -> None:
        """Raise `OutOfTime` when the time is over."""
        if self.late:
            raise OutOfTime

    def part(self, share: float, least: float = 0.0) -> Deadline:
        """Return a deadline after a share of the time that is left, at least after some seconds."""
        left = None if self.seconds is None else max(least, (self.seconds - self.elapsed) * share)
        return Deadline(left, self.clock)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let what is done inside take no time: kernels are compiled once, whatever is searched."""
        before = self.clock()
        try:
            yield
        finally:
            self.begun += self.clock() - before


def slices(count: int, size: int, deadline: Deadline) -> Iterator[slice]:
    """Yield slices of `count` things, none longer than `size`, with a look at the time before each.

    Raises
    ------
    OutOfTime
    """
    for first in range(0, count, size):
        deadline.check()
        yield slice(first, min(first + size, count))
