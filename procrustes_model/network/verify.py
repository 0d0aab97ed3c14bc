"""Whether a record that was found in a folder is what a search of its case may have returned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from procrustes_model.errors import SpecError
from procrustes_model.network.case import Case
from procrustes_model.network.record import CaseRecord, describe_case
from procrustes_model.network.store import DamagedCaseError
from procrustes_model.objective import parse_objective

TOLERANCE = 1e-9
"""Relative difference of numbers that are not whole: libraries of two machines round differently."""


def verify(record: CaseRecord, case: Case) -> None:
    """Raise unless a record is of a case: its mapping is evaluated, and must cost what the record says.

    Parameters
    ----------
    record : CaseRecord
    case : Case

    Raises
    ------
    DamagedCaseError
        With the reason.
    """
    from procrustes_model.mapper.obey import find_breach
    from procrustes_model.model.evaluate import evaluate
    from procrustes_model.spec.load import load_mapping

    zeros = {} if case.zeros is None else case.zeros.arguments()
    try:
        mapping = load_mapping(record.mapping, case.architecture, case.problem)
        result = evaluate(case.architecture, case.problem, mapping, **zeros)
    except SpecError as error:
        raise DamagedCaseError(f"its mapping is not valid: {error.issues[0].message}") from None
    expected = describe_case(
        case, mapping.to_dict(), result, proven=record.proven, gap=record.gap, limit=record.limit
    )
    if place := find_difference(asdict(expected), asdict(record)):
        raise DamagedCaseError(f"{place} is not that of this case with its mapping")
    breach = "its passes must be whole" if mapping.imperfect and not case.way.imperfect else None
    breach = breach or find_breach(mapping, case.constraints, case.architecture, case.problem)
    if breach is not None:
        raise DamagedCaseError(f"its mapping breaks the constraints: {breach}")
    aim, energy, cycles = parse_objective(case.objective), record.energy_pj, float(record.cycles)
    if not aim.allows(np.array([energy]), np.array([cycles])).all():
        raise DamagedCaseError(f"its mapping is beyond the limits of {aim}")


def find_difference(expected: Any, given: Any, place: str = "") -> str | None:
    """Return the place of the first difference between nested plain data, such as ``result.cycles``, or None.

    Types, whole numbers and the order of keys must be equal; other numbers, within `TOLERANCE`.
    """
    if isinstance(expected, Mapping) and isinstance(given, Mapping):
        if list(expected) != list(given):
            return place or "what it tells"
        parts = [(f"{place}.{key}" if place else str(key), expected[key], given[key]) for key in expected]
    elif isinstance(expected, list | tuple) and isinstance(given, list | tuple):
        if len(expected) != len(given):
            return place
        parts = [
            (f"{place}.{i}", one, other) for i, (one, other) in enumerate(zip(expected, given, strict=True))
        ]
    else:
        return None if _same(expected, given) else place
    return next((found for part in parts if (found := find_difference(*part[1:], part[0]))), None)


def _same(expected: Any, given: Any) -> bool:
    if isinstance(expected, str) and isinstance(given, str):
        return expected == given  # words of a vocabulary are strings of a type of their own
    if type(expected) is not type(given):
        return False
    if isinstance(expected, float):
        return math.isclose(expected, given, rel_tol=TOLERANCE)
    return bool(expected == given)
