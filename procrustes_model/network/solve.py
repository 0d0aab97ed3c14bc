"""Search one case: what runs in every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.fingerprint import program_fingerprint
from procrustes_model.network.case import Case
from procrustes_model.network.record import CaseRecord, make_record

if TYPE_CHECKING:
    from procrustes_model.mapper.result import SearchResult

Outcome = tuple[str, CaseRecord | tuple[Issue, ...]]
"""The key of a case, with what was found or why nothing was."""


def solve(case: Case, limit: float | None, expected: str = "") -> Outcome:
    """Search the best mapping of a case, in one thread.

    Parameters
    ----------
    case : Case
    limit : float or None
        Seconds.
    expected : str
        Fingerprint of the program that made the case; another one finds nothing.

    Returns
    -------
    Outcome

    Raises
    ------
    KeyboardInterrupt
        When the search was interrupted: what it had by then is not what it would have found.
    """
    if expected and expected != program_fingerprint():
        return case.key, (
            Issue(
                f"a worker has version {program_fingerprint()} of this program, not {expected}",
                "install the same",
            ),
        )
    try:
        found = _search(case, limit)
    except SpecError as error:
        return case.key, error.issues
    except MemoryError:
        return case.key, (Issue("its search wants more memory than there is", "try fewer --workers"),)
    if found.interrupted:
        raise KeyboardInterrupt
    return case.key, make_record(case, found, limit)


def _search(case: Case, limit: float | None) -> SearchResult:
    from procrustes_model.mapper.search import search

    return search(
        case.architecture,
        case.problem,
        case.constraints,
        case.objective,
        **({} if case.zeros is None else case.zeros.arguments()),
        seconds=limit,
        seed=case.seed,
        threads=1,
        **vars(case.way),
    )
