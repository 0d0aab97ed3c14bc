"""What is kept of one finished case: the mapping found, what it costs, and how sure the search is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from procrustes_model.versions import KEY, VERSIONS, check_version

if TYPE_CHECKING:
    from procrustes_model.mapper.result import SearchResult
    from procrustes_model.model.result import Result
    from procrustes_model.network.case import Case

FORMAT = "procrustes_case"
_HEAD = ("architecture", "problem", "phase")


@dataclass(frozen=True)
class CaseRecord:
    """One searched case, as plain data that JSON holds exactly.

    Attributes
    ----------
    key : str
        Hash of everything that the case depends on; see `Case`.
    problem : dict
        The problem's ``name``, ``shape``, ``phase`` and ``dimensions``.
    objective : str
        As `parse_objective` reads it.
    mapping : dict
        As `Mapping.to_dict` returns it; `load_mapping` reads it.
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
        (objective - its lower bound) / its lower bound; None: no bound is known.
    seconds : float
        Time of the search.
    limit : float or None
        Time limit of the search.
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
    seconds: float
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
    def imbalance(self) -> dict[str, Any] | None:
        """Work of the slowest processing element over the mean, as `SparseResult.imbalance`."""
        return self.result.get("imbalance")

    def answers(self, limit: float | None) -> bool:
        """Say whether a search with this time limit could not do better than what was found."""
        return self.proven or self.limit is None or (limit is not None and limit <= self.limit)

    def to_json(self) -> str:
        """Return the record as JSON; reading it gives equal data with keys in the same order."""
        data = {"format": FORMAT, KEY: VERSIONS["case"], **asdict(self)}
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
            When the text is something else.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise ValueError(f"no {FORMAT}")
        check_version("case", data, file, text)
        if data.pop(KEY, 1) == 1 and data.get("gap") is not None:
            data["gap"] /= 1 + data["gap"]  # it was a share of the bound
        try:
            return cls(**data | {"rows": tuple(data["rows"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"no {FORMAT}: {error}") from None


def make_record(case: Case, found: SearchResult, limit: float | None) -> CaseRecord:
    """Return what is kept of a search.

    Parameters
    ----------
    case : Case
    found : SearchResult
    limit : float or None
        Its time limit, in seconds; a search that went to its end is kept without.
    """
    certificate, problem = found.certificate, case.problem
    return CaseRecord(
        key=case.key,
        problem={
            "name": problem.name,
            "shape": problem.shape,
            "phase": problem.phase,
            "dimensions": dict(problem.dimensions),
        },
        objective=found.objective,
        mapping=found.mapping.to_dict(),
        **_numbers(found.result),
        proven=bool(certificate.proven),
        gap=float(certificate.gap) if certificate.lower_bound > 0 else None,
        seconds=float(found.seconds),
        limit=None if certificate.complete else limit,
    )


def with_result(record: CaseRecord, case: Case, result: Result) -> CaseRecord:
    """Return the record of a case that has the mapping of another one; nothing is proven of it.

    Parameters
    ----------
    record : CaseRecord
        The other one: of the same problem.
    case : Case
    result : Result
        What the mapping costs here.
    """
    return replace(record, key=case.key, proven=False, gap=None, **_numbers(result))


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
