"""What is exported: a mapping of a problem on a machine, perhaps under a sparse design."""

from __future__ import annotations

import math
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field

from procrustes_model.errors import Issue
from procrustes_model.model.computing import Computing, find_computing
from procrustes_model.spec.architecture import Architecture, Component, StorageLevel
from procrustes_model.spec.density import Density
from procrustes_model.spec.homes import find_home
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.sparsity import Format, SparsePhase, Sparsity
from procrustes_model.spec.tensors import stated_bits
from procrustes_model.spec.text.document import open_document
from procrustes_model.spec.text.yaml_text import Path

_SAVES = {"gate": "gated", "skip": "skipped"}


@dataclass(frozen=True)
class Model:
    """What is evaluated together, with the questions that both ways of saying it must answer alike.

    Attributes
    ----------
    architecture : Architecture
    problem : Problem
    mapping : Mapping
    sparsity : Sparsity or None
    densities : dict of str to Density
        By tensor, those that hold: what a user gives goes before what the design says.
    file : str or None
        Where the problem was read.
    """

    architecture: Architecture
    problem: Problem
    mapping: Mapping
    sparsity: Sparsity | None = None
    densities: AbstractMapping[str, Density] = field(default_factory=dict)
    file: str | None = None

    @property
    def phase(self) -> SparsePhase:
        """What the design says in the problem's phase; nothing where there is none."""
        return SparsePhase() if self.sparsity is None else self.sparsity.phase(self.problem.phase)

    def of_problem(self, message: str, hint: str | None = None, path: Path = ()) -> Issue:
        """Return an issue of the problem, which does not know its file, or of a part of it."""
        if self.file is None:
            return Issue(message, hint, f"problem {self.problem.name}")
        document = open_document(self.file, "problem")
        return Issue(message, hint, document.file, *document.place(("problem", *path), key=True))

    def of_design(self, message: str, hint: str | None, path: Path) -> Issue:
        """Return an issue of the sparse design."""
        if self.sparsity is None:
            return Issue(message, hint)
        return self.sparsity.issue(message, hint, self.problem.phase, path)

    def used(self, level: int) -> int:
        """Return how many instances of a level the mapping uses."""
        outer = self.mapping.levels[:level]
        return math.prod(loop.factor for one in outer for loop in (*one.spatial_x, *one.spatial_y))

    def bits(self, level: StorageLevel, tensor: str) -> int:
        """Return the bits of an element of a tensor at a level; `spec.widths` has the order."""
        return stated_bits(self.architecture, self.problem).get(tensor) or level.word_bits

    def home(self, tensor: str) -> tuple[int, bool]:
        """Return the level where a tensor begins and ends, and whether it is written there first."""
        level = find_home(self.architecture, self.problem, tensor)
        one = self.architecture.levels[level]
        written = tensor != self.problem.output.name and one.loaded and tensor in one.resident
        return level, written

    def spent(self, level: int) -> float:
        """Return pJ per cycle that all instances of a level spend beside their accesses."""
        one = self.architecture.levels[level]
        used, there = self.used(level), self.architecture.instances(level)
        leaks = (one.leakage_mw or 0.0) / (self.architecture.clock_ghz or math.inf)
        steady = used * one.energy.idle + (used if one.leakage_gated else there) * leaks
        power = (part for part in self.architecture.components if leaks_for(part, one.name))
        return steady + sum(part.power_pj_per_cycle * part.instances for part in power)

    def saved_at(self, level: str) -> dict[str, set[str]]:
        """Return the tensors whose accesses are saved at a level, by how: 'gated' or 'skipped'."""
        found: dict[str, set[str]] = {kind: set() for kind in _SAVES.values()}
        for action in self.phase.actions:
            if action.level == level and action.saves_accesses:
                found[_SAVES[action.kind]].add(action.target)
        return found

    def format_of(self, tensor: str, level: str) -> Format | None:
        """Return how a level stores a tensor; None: with its zeros and nothing beside them."""
        found = self.phase.format_of(tensor, level)
        return found if found.ranks or found.compressed else None

    def prices(self, level: StorageLevel) -> dict[str, tuple[float, float, float]]:
        """Return what accesses of each kind cost that the design has at a level: pJ to read, fill, update."""
        energy, saved = level.energy, self.saved_at(level.name)
        found = {"": energy.by_action}
        found |= {kind: getattr(energy, kind).by_action for kind in saved if saved[kind]}
        listed = {tensor.name for tensor in self.problem.tensors if self.format_of(tensor.name, level.name)}
        if not listed:
            return found
        metadata = energy.metadata
        found["metadata"] = (metadata or energy).by_action
        if saved["gated"] & listed:
            gated = metadata and metadata.gated
            found["gated_metadata"] = (gated or metadata or energy).by_action
        if saved["skipped"] & listed:
            found["skipped_metadata"] = metadata.skipped.by_action if metadata else (0.0, 0.0, 0.0)
        return found

    @property
    def computing(self) -> Computing:
        """What a computation costs and takes, for the operands and the phase of the problem."""
        return find_computing(self.architecture, self.problem)

    def compute_prices(self) -> dict[str, float]:
        """Return pJ of a computation that is done and, where the design has such, gated or skipped."""
        price, operands = self.computing, self.phase.compute
        found = {"compute": price.done}
        if operands.gate:
            share = operands.gated_energy
            found["compute_gated"] = price.done * share if share else price.gated
        if operands.skip:
            found["compute_skipped"] = price.skipped
        return found


def leaks_for(component: Component, level: str) -> bool:
    """Say whether a component is what an imported level spends in every cycle."""
    return component.name == f"{level} leakage" and component.use is None
