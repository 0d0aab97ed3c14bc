"""Search one case: what runs in every worker."""

from __future__ import annotations

import inspect
import os
import signal
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.plan import Case, fingerprint
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
    if expected and expected != fingerprint():
        return case.key, (
            Issue(
                f"a worker has version {fingerprint()} of this program, not {expected}", "install the same"
            ),
        )
    try:
        found = _search(case, limit)
    except SpecError as error:
        return case.key, error.issues
    if found.interrupted:
        raise KeyboardInterrupt
    return case.key, make_record(case, found, limit)


def solve_apart(case: Case, limit: float | None, expected: str = "") -> Outcome:
    """`solve` in a process of its own, which leaves interrupts to the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return solve(case, limit, expected)


class _Alone:
    """Ends a worker whose starter has been killed: nobody waits for what it searches."""

    def __init__(self) -> None:
        self.parent = os.getppid()

    def __call__(self, _: Any) -> None:
        if os.getppid() != self.parent:
            os._exit(1)


def _search(case: Case, limit: float | None) -> SearchResult:
    from procrustes_model.mapper.search import search

    if case.sparsity is None:
        return search(
            case.architecture,
            case.problem,
            case.constraints,
            case.objective,
            seconds=limit,
            seed=case.seed,
            threads=1,
            progress=_Alone(),
        )
    if "sparsity" not in inspect.signature(search).parameters:
        return _search_densely(case, limit)
    options: dict[str, Any] = {
        "sparsity": case.sparsity,
        "densities": case.densities or None,
        "masks": case.masks or None,
    }
    return search(
        case.architecture,
        case.problem,
        case.constraints,
        case.objective,
        seconds=limit,
        seed=case.seed,
        threads=1,
        progress=_Alone(),
        **options,
    )


def _search_densely(case: Case, limit: float | None) -> SearchResult:
    """Return the mapping that is best if nothing were zero, evaluated with the zeros; nothing is proven."""
    from dataclasses import replace

    from procrustes_model.mapper.result import Certificate
    from procrustes_model.mapper.search import search
    from procrustes_model.model.evaluate import evaluate

    assert case.sparsity is not None
    found = search(
        case.architecture,
        case.problem,
        case.constraints,
        case.objective,
        seconds=limit,
        seed=case.seed,
        threads=1,
        progress=_Alone(),
    )
    result = evaluate(
        case.architecture,
        case.problem,
        found.mapping,
        sparsity=case.sparsity,
        densities=case.densities,
        masks=case.masks,
        check_capacity=False,
    )
    values = {"energy": result.energy_pj, "cycles": float(result.cycles)}
    value = values.get(case.objective, result.energy_pj * result.cycles)
    unknown = Certificate(proven=False, value=value, lower_bound=0.0, mapspace=found.certificate.mapspace)
    return replace(found, result=result, certificate=unknown)
