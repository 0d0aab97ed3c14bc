"""Where a running run stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from procrustes_model.errors import Issue
    from procrustes_model.network.record import CaseRecord


@dataclass(frozen=True)
class RunProgress:
    """A moment of a running run.

    Attributes
    ----------
    done, total : int
        Cases.
    kept : int
        Of those done, how many an earlier run had finished.
    share : float
        How much of the search is done, from 0 to 1, as far as it can be told.
    latest : CaseRecord or None
        The case that was finished last.
    damaged : tuple of Issue
        Files of the folder that are not what a search of their case wrote: these are searched again.
    longest : float or None
        Seconds that the searches of the run take at most, without compiling; None where that is not known.
    """

    done: int
    total: int
    kept: int
    share: float
    latest: CaseRecord | None
    damaged: tuple[Issue, ...] = ()
    longest: float | None = None
