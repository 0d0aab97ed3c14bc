"""Energies per action from a table as Accelergy writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from procrustes_model.importers.timeloop.files import Inputs
from procrustes_model.importers.timeloop.node import Node
from procrustes_model.importers.timeloop.words import COMPUTES, LEAKS, READS, UPDATES, WRITES, Year

_RANGE = re.compile(r"\[[^\]]*\]")


@dataclass
class Table:
    """The energies of one component, in pJ.

    Attributes
    ----------
    node : Node
    actions : dict of str to float
        The dearest over the arguments of each action.
    """

    node: Node
    actions: dict[str, float] = field(default_factory=dict)

    def find(self, names: tuple[str, ...]) -> float | None:
        """Return the energy of the first of some actions that is in the table."""
        return next((self.actions[name] for name in names if name in self.actions), None)

    @property
    def dearest(self) -> float | None:
        """The energy of the dearest action, None where there is none."""
        return max(self.actions.values(), default=None)

    def need(self, names: tuple[str, ...]) -> float:
        """Return the energy of an action; 0 with an issue where the table has none of its names."""
        found = self.find(names)
        if found is None:
            self.node.refuse(
                f"the table has no action {' or '.join(names[:2])}, but {', '.join(self.actions) or 'none'}",
                "that tool then takes numbers of its own",
            )
            return 0.0
        return found

    def access_prices(self, year: Year, cluster: int = 1) -> dict[str, float]:
        """Return what a read, a write and an update of a vector of words cost.

        Parameters
        ----------
        year : Year
        cluster : int
            Instances that share a port. Where all accesses cost the dearest, that tool divides it among them.
        """
        if year.dearest:
            price = self.dearest
            if price is None:
                return {"read": self.need(READS) / cluster, "write": 0.0}
            named = {"read": self.find(READS), "write": self.find(WRITES)}
            if price in named.values() and None not in named.values():
                return {key: value / cluster for key, value in named.items() if value is not None}
            return {"read": price / cluster, "write": price / cluster}
        prices = {"read": self.need(READS), "write": self.need(WRITES)}
        update = self.find(UPDATES)
        if year.own_updates and update is not None and update != prices["write"]:
            prices["update"] = update
        return prices

    def compute_price(self, year: Year) -> float:
        """Return what a computation costs."""
        if year.dearest and self.dearest is not None:
            return self.dearest
        return self.need(COMPUTES)

    @property
    def leakage(self) -> float:
        """Energy that an instance spends in every cycle."""
        return self.find(LEAKS) or 0.0


def last_name(name: str) -> str:
    """Return the name of a component without its place in the tree and its number of instances."""
    return _RANGE.sub("", name).rsplit(".", 1)[-1]


def read_tables(inputs: Inputs) -> dict[str, Table] | None:
    """Return the tables of energies by the last name of their component; None where no file has any."""
    tables: dict[str, Table] = {}
    section = inputs.one("ERT")
    if section is None:
        return None
    listed = section.get("tables")
    for node in listed.list() if listed is not None else ():
        name = node.get("name")
        if name is None:
            node.refuse("a table of energies has no 'name'")
            continue
        table = Table(node)
        actions = node.get("actions")
        for action in actions.list() if actions is not None else ():
            _add(table, action)
        twin = tables.setdefault(last_name(name.text()), table)
        if twin.actions != table.actions:
            node.refuse(
                f"another table of '{last_name(name.text())}' stands in {twin.node.place}, with other prices",
                "that tool takes tables by the last part of their names",
            )
    return tables


def _add(table: Table, action: Node) -> None:
    name, energy = action.get("name"), action.get("energy")
    if name is None or energy is None:
        action.refuse("an action in a table of energies has a 'name' and an 'energy'")
        return
    value = energy.number()
    if value is None:
        return
    if not 0 <= value <= 1e15:
        energy.refuse(f"an energy must be from 0 to 1e15 pJ, is {value}")
        return
    key = name.text()
    table.actions[key] = max(table.actions.get(key, 0.0), float(value))
