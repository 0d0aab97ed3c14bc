"""The whole machine, and its clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from procrustes_model import Architecture, Mapping, Problem
from procrustes_model.spec.sparsity import SparsePhase
from tests.naive.dense import NestLoop, Point, position
from tests.naive.machine.array import Elements
from tests.naive.machine.nest import Nest, Place, size, walk
from tests.naive.machine.storage import Counts, Layout, Memory, Port, Values
from tests.naive.machine.transfers import Engine
from tests.naive.sparse import Mask, cut_dimension


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Attributes
    ----------
    counts : Counts
    cycles : int
        All of them: `before` the elements begin, those they work, those they `stalled` in between, and those
        `after` they have finished.
    output : dict
        What stands in the outermost level at the end, by position.
    """

    counts: Counts
    cycles: int
    before: int
    stalled: int
    after: int
    output: dict[Point, int]


class Machine:
    """All memories, engines and elements of a mapping of a problem onto an architecture.

    Parameters
    ----------
    architecture : Architecture
        Whose bandwidths to read and to write hold, but for those of register files.
    problem : Problem
    mapping : Mapping
    design : SparsePhase
        Formats, skipped operands and balancing.
    masks : dict
        By tensor; others are dense.
    values : dict
        Of the operands; zero where a mask is.
    """

    def __init__(
        self,
        architecture: Architecture,
        problem: Problem,
        mapping: Mapping,
        design: SparsePhase,
        masks: dict[str, Mask],
        values: dict[str, Values],
    ) -> None:
        self.nest, self.design, self.masks = Nest(problem, mapping), design, masks
        self.levels = [level.name for level in architecture.levels]
        self.word_bits = [level.word_bits for level in architecture.levels]
        self.counts = Counts()
        self.balanced = str(design.balancing.tensor)
        balanced = self.nest.tensors[self.balanced]
        halves = design.balancing.policy == "half_tile"
        self.cut = cut_dimension(balanced, self.nest.loops, self.nest.array, 2) if halves else None
        self.skipped = design.compute.skip
        self.memories: dict[tuple[int, Place], Memory] = {}
        self.layouts: dict[tuple[int, str], Layout] = {}
        for i, level in enumerate(architecture.levels):
            kept = list(mapping.levels[i].keep)
            for place in self.nest.places(i):
                ports = (
                    (None, None) if i == self.nest.array else (level.read_bandwidth, level.write_bandwidth)
                )
                self.memories[i, place] = Memory(level.word_bits, *ports, kept)
            for tensor in kept:
                stored = design.format_of(tensor, level.name)
                self.layouts[i, tensor] = Layout(self.nest, tensor, stored, self.cut)
        for tensor, array in values.items():
            held = self.memories[0, ()].held[tensor]
            held.update(
                {index: int(value) for index, value in np.ndenumerate(array) if value or tensor not in masks}
            )
        output = problem.output.name
        self.masked = [
            name
            for name in self.nest.tensors
            if name != output and self.layouts[self.nest.array, name].compressed
        ]
        self.engines = self._make_engines()
        self.at_array = [engine for engine in self.engines if engine.level == self.nest.array]
        self.elements = Elements(self)

    def _make_engines(self) -> list[Engine]:
        engines: list[Engine] = []
        for tensor in self.nest.tensors:
            feeder = None
            for level in range(1, len(self.levels)):
                if tensor in self.nest.mapping.levels[level].keep:
                    engine = Engine(self, tensor, level)
                    engine.feeder = feeder
                    if feeder is not None:
                        feeder.inner = engine
                    engines.append(engine)
                    feeder = engine
        return engines

    @property
    def ports(self) -> list[Port]:
        """All ports."""
        return [port for memory in self.memories.values() for port in (memory.read, memory.write)]

    def is_kept(self, tensor: str, point: Point) -> bool:
        """Whether an element of a tensor is not zero; of an output, whether it is wanted."""
        return tensor not in self.masks or bool(self.masks[tensor][point])

    def count(self, level: int, tensor: str, action: str, words: int, bits: int = 0) -> None:
        """Count words of data and bits of metadata."""
        access = self.levels[level], tensor, action
        self.counts.words[access] += words
        self.counts.bits[access] += bits

    def _advance(self, ports: list[Port]) -> bool:
        """Let all that takes no time happen; say whether anything did."""
        changed = [engine.advance() for engine in self.engines]
        changed.append(self.elements.advance())
        changed += [port.settle() for port in ports]
        return any(changed)

    def run(self) -> Run:
        """Step until all sums stand in the outermost level."""
        ports = self.ports
        worked = []
        while True:
            while self._advance(ports):
                pass
            if all(engine.emptied == len(engine.visits) for engine in self.engines):
                break
            busy, moving = self.elements.tick(), [port.tick() for port in ports]
            assert busy or any(moving), "the machine has stopped"
            worked.append(busy)
        first = worked.index(True) if any(worked) else len(worked)
        after = worked[::-1].index(True) if any(worked) else 0
        stalled = len(worked) - first - after - sum(worked)
        output = self.memories[0, ()].held[self.nest.problem.output.name]
        return Run(self.counts, len(worked), first, stalled, after, output)


def draw_values(problem: Problem, masks: dict[str, Mask], rng: np.random.Generator) -> dict[str, Values]:
    """Return whole numbers for the operands, zero where a mask is."""
    found = {}
    for tensor in problem.tensors:
        if not tensor.is_output:
            drawn = rng.integers(1, 10, size(tensor, problem))
            found[tensor.name] = drawn * masks[tensor.name] if tensor.name in masks else drawn
    return found


def compute(problem: Problem, values: dict[str, Values]) -> Values:
    """Return what the output has to be."""
    output = np.zeros(size(problem.output, problem), np.int64)
    operands = [tensor for tensor in problem.tensors if not tensor.is_output]
    once = [NestLoop(0, False, name, bound, 1) for name, bound in problem.dimensions.items()]
    for index in walk(once):
        factors = (int(values[tensor.name][position(tensor, once, index)]) for tensor in operands)
        output[position(problem.output, once, index)] += math.prod(factors)
    return output
