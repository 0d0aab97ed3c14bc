"""What is kept of one finished case: the mapping found, what it costs, and how sure the search is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from procrustes_model.network.schema import check_case
from procrustes_model.objective import gap_to, parse_objective
from procrustes_model.versions import KEY, VERSIONS, check_version, version_problem

if TYPE_CHECKING:
    from procrustes_model.mapper.result import SearchResult
    from procrustes_model.model.result import Result
    from procrustes_model.network.case import Case
    from procrustes_model.spec.mapping import Mapping as LoopNest
    from procrustes_model.spec.problem import Problem

FORMAT = "procrustes_case"
_SEALED = 3
"""The first version with a checksum."""

CHECKSUM = "checksum"
"""The last key of a file: a hash of all before it, so that what was changed by hand or by chance is seen."""

_HEAD = ("architecture", "problem", "phase")


@dataclass(frozen=True)
class CaseRecord:
    """One searched case, as plain data that JSON holds exactly.

    It says what was found, and not when or how long it took: equal searches give equal records.

    Attributes
    ----------
    key : str
        Hash of everything that the case depends on; see `Case`.
    problem : dict
        The problem's ``name``, ``shape``, ``phase`` and ``dimensions``, and ``bits``, ``starts`` and ``ends``
        where it states some.
    objective : str
        As `parse_objective` reads it.
    mapping : dict
        As `Mapping.to_dict` returns it; `load_mapping` reads it. Empty of an elementwise layer.
    result : dict
        As `Result.to_dict` returns it.
    rows : tuple of dict
        As `Result.to_records` returns them, without names: ``level``, ``tensor``, ``action``, ``count``,
        ``instances``, ``energy_pj``.
    energy_by_level : dict of str to float
        pJ by storage level, compute level, and what a sparse result adds; adds up to the energy.
    proven : bool
        Whether no mapping that the constraints allow is better.
    gap : float or None
        (objective - its lower bound) / objective, 0 to 1; None: no bound is known.
    limit : float or None
        Time limit of the search, in seconds; None: it went to its end.
    """

    key: str
    problem: dict[str, Any]
    objective: str
    mapping: dict[str, Any]
    result: dict[str, Any]
    rows: tuple[dict[str, Any], ...]
    energy_by_level: dict[str, float]
    proven: bool
    gap: float | None
    limit: float | None

    @property
    def energy_pj(self) -> float:
        """Energy of the whole problem, in pJ."""
        return float(self.result["energy_pj"])

    @property
    def cycles(self) -> int:
        """Cycles of the whole problem."""
        return int(self.result["cycles"])

    @property
    def edp_j_cycles(self) -> float:
        """Energy-delay product: joules times cycles."""
        return float(self.result["edp_j_cycles"])

    @property
    def utilization(self) -> float:
        """Operations done / operations that all units could do in the cycles."""
        return float(self.result["utilization"])

    @property
    def searched(self) -> bool:
        """Whether it has a mapping; what elementwise layers cost follows from their elements."""
        return bool(self.mapping)

    @property
    def imbalance(self) -> dict[str, Any] | None:
        """Work of the slowest processing element over the mean, as `SparseResult.imbalance`.

        None also where the tensor has no nonzeros: then there is no work to lie unevenly.
        """
        known: dict[str, Any] | None = self.result.get("imbalance")
        densities = self.result.get("densities", {})
        return None if known is None or densities.get(known["tensor"]) == 0 else known

    @property
    def work_spread(self) -> str | None:
        """How the work lies on the processing elements, a `WorkSpread`; None: not kept by older programs."""
        return self.result.get("work_spread")

    def answers(self, limit: float | None) -> bool:
        """Say whether a search with this time limit could not do better than what was found."""
        return self.proven or self.limit is None or (limit is not None and limit <= self.limit)

    def to_json(self) -> str:
        """Return the record as JSON; reading it gives equal data with keys in the same order."""
        data = {"format": FORMAT, KEY: VERSIONS["case"], **asdict(self)}
        data[CHECKSUM] = checksum(data)
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, file: str | None = None) -> CaseRecord:
        """Return the record that `to_json` wrote.

        Parameters
        ----------
        text : str
        file : str, optional
            Where it stands, for messages.

        Raises
        ------
        SpecError
            When it is of a newer version.
        ValueError
            When the text is something else, or was changed; with the reason.
        """
        try:
            data = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise ValueError("it is no whole JSON, or has numbers that are none") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"it is no {FORMAT}")
        problem = version_problem("case", data)
        if problem is not None and problem.newer:
            check_version("case", data, file, text)
        if problem is not None:
            raise ValueError(problem.message)
        version = data.get(KEY, 1)
        if version < _SEALED:
            data.pop("seconds", None)  # how long the search took
        elif data.pop(CHECKSUM, None) != checksum(data):
            raise ValueError("its content does not fit its checksum")
        content = {key: value for key, value in data.items() if key not in ("format", KEY)}
        gap = content.get("gap")
        if version == 1 and isinstance(gap, int | float) and gap > 0:
            content["gap"] = gap / (1 + gap)  # it was a share of the bound
        check_case(content)
        return cls(**content | {"rows": tuple(content["rows"])})


def checksum(data: Mapping[str, Any]) -> str:
    """Return a hash of what a file holds before its checksum, as 32 hexadecimal digits.

    Parameters
    ----------
    data : mapping
        Plain data; the order of keys counts, as it decides that of columns.

    Raises
    ------
    ValueError
        When a number is not finite.
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def make_record(case: Case, found: SearchResult, limit: float | None) -> CaseRecord:
    """Return what is kept of a search.

    Parameters
    ----------
    case : Case
    found : SearchResult
    limit : float or None
        Its time limit, in seconds; a search that went to its end is kept without.
    """
    certificate = found.certificate
    return describe_case(
        case,
        found.mapping.to_dict(),
        found.result,
        proven=bool(certificate.proven),
        gap=float(certificate.gap) if certificate.lower_bound > 0 else None,
        limit=None if certificate.complete else limit,
    )


def describe_case(
    case: Case,
    mapping: dict[str, Any],
    result: Result,
    *,
    proven: bool,
    gap: float | None,
    limit: float | None,
) -> CaseRecord:
    """Return the record of a case: `case` and `result` decide all of it but how sure the search is.

    Parameters
    ----------
    case : Case
    mapping : dict
    result : Result
        What the mapping costs.
    proven, gap, limit
        As `CaseRecord` has them.
    """
    return CaseRecord(
        key=case.key,
        problem=_described(case.problem),
        objective=case.objective,
        mapping=_plain(mapping),
        **_numbers(result),
        proven=proven,
        gap=gap,
        limit=limit,
    )


def describe_result(key: str, problem: dict[str, Any], objective: str, result: Result) -> CaseRecord:
    """Return the record of what has no mapping, and costs what it costs.

    Parameters
    ----------
    key : str
    problem : dict
        As `CaseRecord` has it.
    objective : str
    result : Result
    """
    return CaseRecord(
        key=key,
        problem=_plain(problem),
        objective=objective,
        mapping={},
        **_numbers(result),
        proven=True,
        gap=0.0,
        limit=None,
    )


def _described(problem: Problem) -> dict[str, Any]:
    head = {
        "name": problem.name,
        "shape": problem.shape,
        "phase": problem.phase,
        "dimensions": dict(problem.dimensions),
    }
    for key in ("bits", "starts", "ends"):
        if stated := getattr(problem, key):
            head[key] = dict(stated)
    plain: dict[str, Any] = _plain(head)
    return plain


def best_of(before: CaseRecord, after: CaseRecord) -> CaseRecord:
    """Return the better of two records of a case, with what both searches know of better mappings.

    On a busy machine a search with more time may find less.

    Parameters
    ----------
    before : CaseRecord
        Of a search with less time.
    after : CaseRecord
    """
    from procrustes_model.mapper.incumbent import Incumbent

    score = Incumbent(parse_objective(after.objective)).score
    values = [score(one.energy_pj, one.cycles) for one in (before, after)]
    if after.proven or values[1] <= values[0]:
        return after
    bounds = [
        value * (1 - one.gap)
        for value, one in zip(values, (before, after), strict=True)
        if one.gap is not None
    ]
    gap = gap_to(values[0], max(bounds)) if bounds else None
    return replace(before, gap=gap, limit=after.limit)


def with_result(record: CaseRecord, case: Case, mapping: LoopNest, result: Result) -> CaseRecord:
    """Return the record of a case whose mapping follows from that of another one; nothing is proven of it.

    Parameters
    ----------
    record : CaseRecord
        The other one: of the same problem, but for its bits.
    case : Case
    mapping : Mapping
        For this case.
    result : Result
        What it costs here.
    """
    nest = _plain(mapping.to_dict())
    return replace(
        record,
        key=case.key,
        problem=_described(case.problem),
        mapping=nest,
        proven=False,
        gap=None,
        **_numbers(result),
    )


def _numbers(result: Result) -> dict[str, Any]:
    """Return the fields of a record that hold what a mapping costs."""
    energy = {level.name: level.energy_pj for level in result.levels}
    energy[result.compute.name] = result.compute.energy_pj
    energy |= dict(result.extras)
    rows = [{key: value for key, value in row.items() if key not in _HEAD} for row in result.to_records()]
    return {
        "result": _plain(result.to_dict()),
        "rows": tuple(_plain(rows)),
        "energy_by_level": _plain(energy),
    }


def _plain(value: Any) -> Any:
    """Return nested data as JSON would return it: lists for tuples, numbers of Python for NumPy's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
