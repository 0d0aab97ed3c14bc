"""What a sweep returns: every point with its values and what it costs, and the front of the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from procrustes_model.model.time import TIME_COLUMNS
from procrustes_model.network.result import Totals
from procrustes_model.objective import parse_objective
from procrustes_model.shown import Shown
from procrustes_model.spec.area import Area
from procrustes_model.sweeps.points import show_value
from procrustes_model.versions import VERSION_COLUMN

SWEEP_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "point": "number of the point, from 1 on; then a column per axis, called as it is",
        "energy_pj": "energy of all layers and phases of the point, in pJ",
        "cycles": "their cycles, one after the other",
        "edp_j_cycles": "energy-delay product: joules times cycles",
        "utilization": "operations done / operations that all units could do in the cycles, 0 to 1",
        "energy_per_mac_pj": "energy_pj / multiply-accumulates if nothing were zero",
        "area_um2": "area of all instances of the parts that state one, in um2; empty: none does",
        "area_unstated": "the other parts, between semicolons: they are not in area_um2",
        "proven": "true: no mapping that is allowed is better; empty: nothing was searched",
        "gap": "the most that unknown mappings could save, 0 to 1; empty: no bound is known",
        "front": "true: no other point is as good in all of `pareto` and better in one",
        "error": "why the point has no result",
        **VERSION_COLUMN,
    }
)
"""Columns that the table of every sweep has, and what they mean."""
MEASURES = ("energy_pj", "cycles", "edp_j_cycles", "energy_per_mac_pj", "area_um2", "seconds", "edp_j_s")
"""Columns of which less is better."""


@dataclass(frozen=True, eq=False)
class SweepPoint:
    """One point of a finished sweep.

    Attributes
    ----------
    number : int
        From 1 on.
    values : dict of str to Any
        By axis, as written.
    totals : Totals or None
        What it costs; None: it has no result.
    objective : str or None
        What its searches minimised; None: nothing was searched.
    area : Area
        Of its machine.
    clock_ghz : float or None
        Of its machine.
    error : str
        Why there is no result.
    """

    number: int
    values: dict[str, Any]
    totals: Totals | None
    objective: str | None
    area: Area
    clock_ghz: float | None
    error: str = ""

    def to_record(self) -> dict[str, Any]:
        """Return the point as a row: its number, values by axis, measures; see `SWEEP_COLUMNS`."""
        record: dict[str, Any] = {"point": self.number}
        record |= {
            name: value if _is_scalar(value) else show_value(value) for name, value in self.values.items()
        }
        totals = self.totals
        if totals is not None:
            searched = self.objective is not None
            record |= {
                "energy_pj": totals.energy_pj,
                "cycles": totals.cycles,
                "edp_j_cycles": totals.edp_j_cycles,
                "utilization": totals.utilization,
                "energy_per_mac_pj": totals.energy_pj / totals.macs,
                "area_um2": self.area.total_um2,
                "area_unstated": ";".join(self.area.unstated),
                "proven": totals.proven == totals.rows if searched else None,
                "gap": (totals.gap if totals.proven < totals.rows else 0.0) if searched else None,
            }
            if (time := totals.time(self.clock_ghz)) is not None:
                record |= {name: getattr(time, name, None) for name in TIME_COLUMNS}
                record["edp_j_s"] = totals.energy_pj * 1e-12 * time.seconds
            record |= {f"energy_pj_{level}": energy for level, energy in totals.energy_by_level.items()}
        return record | {"error": self.error}


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult(Shown):
    """A finished sweep.

    Attributes
    ----------
    name : str
    run : str
        'search', 'evaluate' or 'network'.
    axes : tuple of str
    pareto : tuple of str
        Columns that are small at the best.
    points : tuple of SweepPoint
    searched : int
        Different searches that the points share.
    """

    name: str
    run: str
    axes: tuple[str, ...]
    pareto: tuple[str, ...]
    points: tuple[SweepPoint, ...]
    searched: int

    @property
    def front(self) -> frozenset[int]:
        """Numbers of the points of which none is as good in all of `pareto` and better in one."""
        values: dict[int, list[float]] = {}
        for point in self.points:
            record = point.to_record()
            found = [float(record[name]) for name in self.pareto if record.get(name) is not None]
            if len(found) == len(self.pareto):
                values[point.number] = found
        return frozenset(find_front(values))

    @property
    def best(self) -> SweepPoint | None:
        """The point with the least of what searches minimised, of several such the first.

        Energy-delay products are compared where nothing was searched; None where points minimised different
        things, or none has a result.
        """
        aims = {point.objective or "edp" for point in self.points}
        known = [point for point in self.points if point.totals is not None]
        if len(aims) > 1 or not known:
            return None
        aim = parse_objective(aims.pop())

        def score(point: SweepPoint) -> tuple[float, float]:
            assert point.totals is not None
            energy, cycles = point.totals.energy_pj, point.totals.cycles
            return (
                aim.energy_power * math.log(max(energy, 1e-300))
                + aim.cycles_power * math.log(max(cycles, 1)),
                energy,
            )

        return min(known, key=score)

    @property
    def columns(self) -> list[str]:
        """The columns of the table: `SWEEP_COLUMNS`, the axes after the point; times; energy by level."""
        first, *fixed = (name for name in SWEEP_COLUMNS if name not in VERSION_COLUMN)
        timed = list(TIME_COLUMNS) if any(point.clock_ghz is not None for point in self.points) else []
        levels = dict.fromkeys(
            f"energy_pj_{level}"
            for point in self.points
            if point.totals is not None
            for level in point.totals.energy_by_level
        )
        return [first, *self.axes, *fixed, *timed, *levels, *VERSION_COLUMN]

    def to_records(self) -> list[dict[str, Any]]:
        """Return a row per point, as the CSV has it: plain values by column."""
        front = self.front
        return [
            {**point.to_record(), "front": point.number in front if point.totals is not None else None}
            for point in self.points
        ]

    def to_csv(self, path: Any) -> None:
        """Write the table as CSV; see `SWEEP_COLUMNS`.

        Raises
        ------
        OSError
            When the file cannot be written.
        """
        from procrustes_model.files import write_atomically

        write_atomically(path, self.csv_text())

    def json_text(self) -> str:
        """Return the table as JSON: a row per point under ``points``, and what the sweep is."""
        from procrustes_model.files import json_text

        head = {"name": self.name, "run": self.run, "axes": list(self.axes), "pareto": list(self.pareto)}
        return json_text({**head, "searched": self.searched, "points": self.to_records()})

    def csv_text(self) -> str:
        """Return the table as CSV; see `SWEEP_COLUMNS`."""
        from procrustes_model.files import csv_text

        return csv_text(self.columns, self.to_records())


def find_front(values: Mapping[int, Sequence[float]]) -> Iterable[int]:
    """Yield the keys of those values of which no others are as small everywhere and smaller somewhere.

    Parameters
    ----------
    values : mapping of int to sequence of float
        All of one length.
    """
    kept: list[tuple[float, ...]] = []
    # In this order nothing is dominated by what comes after it.
    for key in sorted(values, key=lambda key: (tuple(values[key]), key)):
        mine = tuple(values[key])
        if any(all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine for other in kept):
            continue
        kept.append(mine)
        yield key
