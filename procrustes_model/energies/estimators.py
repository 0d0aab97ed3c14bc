"""Who answers: the tables that ship, or a package that estimates."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Protocol

from procrustes_model.energies.analog import ANALOG
from procrustes_model.energies.compute import UNITS
from procrustes_model.energies.dram import DRAM
from procrustes_model.energies.estimate import AREA, LEAKAGE, Estimate, EstimateError, Figure
from procrustes_model.energies.regfile import REGFILE
from procrustes_model.energies.sram import SRAM
from procrustes_model.energies.wire import WIRE
from procrustes_model.version import how_to_install

CLASSES = {one.name: one for one in (SRAM, REGFILE, DRAM, *UNITS, *ANALOG, WIRE)}
"""By name: the classes that tables know."""

LEVEL_ACTIONS, UNIT_ACTIONS = ("read", "write"), ("compute",)
"""What is asked of a package for a level, and for a unit that computes."""


class Estimator(Protocol):
    """Knows figures of parts by their class."""

    def estimate(self, kind: str, actions: Sequence[str], asked: Mapping[str, Any]) -> Estimate:
        """Return the figures of one instance of a part.

        Parameters
        ----------
        kind : str
            Its class.
        actions : sequence of str
            `LEVEL_ACTIONS` or `UNIT_ACTIONS`.
        asked : mapping
            By key; see `TableClass.estimate`. ``attributes`` are those of the part.

        Raises
        ------
        EstimateError
            When it cannot be said.
        """


class Tables:
    """The tables that ship."""

    def estimate(self, kind: str, actions: Sequence[str], asked: Mapping[str, Any]) -> Estimate:
        """Return what the tables say; see `Estimator`."""
        known = [name for name, one in CLASSES.items() if one.is_level == (actions == LEVEL_ACTIONS)]
        if kind not in known:
            raise EstimateError(
                f"no table knows the class '{kind[:60]}' here", f"choose from {', '.join(known)}"
            )
        return CLASSES[kind].estimate(asked)


class HwComponents:
    """The package hwcomponents, with the models that are installed beside it."""

    def estimate(self, kind: str, actions: Sequence[str], asked: Mapping[str, Any]) -> Estimate:
        """Return what the package says; see `Estimator`."""
        package = _import_hwcomponents()
        given = dict(asked.get("attributes", {}))
        if "technology" in asked:
            given["tech_node"] = asked["technology"] * 1e-9
        if "width" in asked:
            given["width"] = asked["width"]
        if asked.get("capacity") is not None:
            given["size"] = asked["capacity"] * 8
        try:
            energies = [package.get_action_cost(kind, given, action, {}).energy for action in actions]
            area, leakage = package.get_area(kind, given), package.get_leak_power(kind, given)
        except Exception as error:  # noqa: BLE001 - models of others raise what they like
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise EstimateError(f"hwcomponents has no figures for the class '{kind[:60]}': {first}") from None
        where = f"estimate by others; hwcomponents {getattr(package, '__version__', '')}".rstrip()
        names = ("energy_pj",) if len(actions) == 1 else actions
        values = {name: float(energy) * 1e12 for name, energy in zip(names, energies, strict=True)}
        values |= {AREA: float(area) * 1e12, LEAKAGE: float(leakage) * 1e3}
        return Estimate({key: Figure(value, where) for key, value in values.items()})


def _import_hwcomponents() -> ModuleType:
    try:
        return importlib.import_module("hwcomponents")
    except ImportError:
        raise EstimateError(
            "'estimator: hwcomponents' needs the package hwcomponents, which is not installed",
            f"{how_to_install('hwcomponents')}, with Python 3.12 or newer",
            "estimator",
        ) from None


ESTIMATORS: Mapping[str, Estimator] = {"tables": Tables(), "hwcomponents": HwComponents()}
"""By the name that ``estimator`` gives."""
