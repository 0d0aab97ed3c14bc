"""The engines that move tiles between levels, each with two buffers."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from tests.naive.dense import Point
from tests.naive.machine.nest import Place, moved
from tests.naive.machine.storage import Job

if TYPE_CHECKING:
    from tests.naive.machine.run import Machine


class State(Enum):
    """Of a buffer."""

    EMPTY = "empty"
    FILLING = "filling"
    FULL = "full"
    EMPTYING = "emptying"


@dataclass
class Buffer:
    """One of the two buffers of a tensor at a level; all memories of the level go through the same states."""

    state: State = State.EMPTY
    visit: int = -1
    job: Job | None = None


class Engine:
    """Brings the tiles of one tensor into one level and, of an output, takes them back.

    Attributes
    ----------
    level, outer : int
        Where tiles go, and where they come from.
    filled, emptied : int
        How many visits have been brought in, and how many have left.
    """

    def __init__(self, machine: Machine, tensor: str, level: int) -> None:
        nest = machine.nest
        self.machine, self.tensor, self.level = machine, tensor, level
        self.outer = nest.keeper(tensor, level)
        self.is_output = nest.tensors[tensor].is_output
        self.visits = nest.visits(tensor, level)
        self.buffers = Buffer(), Buffer()
        self.filled = self.emptied = 0
        self.inner: Engine | None = None
        self.feeder: Engine | None = None
        box = nest.box(tensor, level)
        self.start = {place: moved(box, nest.offset(tensor, level, place)) for place in nest.places(level)}
        self._tiles: dict[tuple[Place, int], set[Point]] = {}
        groups: dict[tuple[Place, tuple[Point, ...]], list[Place]] = defaultdict(list)
        for place in self.start:
            key = nest.parent(place, self.outer), nest.route(tensor, place, self.outer, level)
            groups[key].append(place)
        self.groups = [(parent, members) for (parent, _), members in groups.items()]
        self.returns = self._count_returns()

    def _tile(self, place: Place, visit: int) -> set[Point]:
        """Return a memory's tile; nothing before the first visit and after the last one."""
        if not 0 <= visit < len(self.visits):
            return set()
        if (place, visit) not in self._tiles:
            self._tiles[place, visit] = moved(self.start[place], self.visits[visit].offset)
        return self._tiles[place, visit]

    def _count_returns(self) -> Counter[tuple[Place, Point]]:
        """Count how often sums are sent to a memory further out, so that the last time is known."""
        returns: Counter[tuple[Place, Point]] = Counter()
        if self.is_output:
            for visit in range(len(self.visits)):
                for parent, (first, *_) in self.groups:
                    leaving = self._tile(first, visit) - self._tile(first, visit + 1)
                    returns.update((parent, point) for point in leaving)
        return returns

    def holds(self, step: int) -> bool:
        """Say whether the tile of an array-level tile is there."""
        return any(buffer.state is State.FULL and self._spans(buffer.visit, step) for buffer in self.buffers)

    def _spans(self, visit: int, step: int) -> bool:
        return self.visits[visit].first <= step <= self.visits[visit].last

    def advance(self) -> bool:
        """Go on as far as possible without time passing; say whether anything changed."""
        changed = False
        for buffer in self.buffers:
            if buffer.state is State.FILLING and buffer.job is not None and buffer.job.done:
                buffer.state, self.filled, changed = State.FULL, self.filled + 1, True
            if buffer.state is State.FULL and self._is_over(buffer.visit):
                buffer.state, changed = State.EMPTYING, True
                buffer.job = self._take_back(buffer.visit) if self.is_output else Job()
            if buffer.state is State.EMPTYING and buffer.job is not None and buffer.job.done:
                self._forget(buffer.visit)
                buffer.state, self.emptied, changed = State.EMPTY, self.emptied + 1, True
        number = self.filled
        buffer = self.buffers[number % 2]
        if number < len(self.visits) and buffer.state is State.EMPTY:
            step = self.visits[number].first
            if self.feeder is None or self.feeder.holds(step):
                buffer.state, buffer.visit, changed = State.FILLING, number, True
                buffer.job = self._bring(number)
        return changed

    def _is_over(self, visit: int) -> bool:
        """Say whether nothing further in needs a tile any more."""
        last = self.visits[visit].last
        if self.inner is None:
            return self.machine.elements.finished > last
        brought = self.inner.filled == len(self.inner.visits) or (
            self.inner.visits[self.inner.filled].first > last
        )
        if not self.is_output:
            return brought
        emptied = self.inner.emptied == len(self.inner.visits) or (
            self.inner.visits[self.inner.emptied].last > last
        )
        return brought and emptied

    def _bring(self, visit: int) -> Job:
        """Move what is new of a tile from the level further out."""
        job = Job()
        for parent, members in self.groups:
            new = self._tile(members[0], visit) - self._tile(members[0], visit - 1)
            if self.is_output:
                self._bring_sums(job, parent, members[0], new)
            else:
                self._bring_operand(job, parent, members, new)
        if self.level == self.machine.nest.array:
            self.machine.elements.read_pointers(self.tensor)
        return job

    def _bring_operand(self, job: Job, parent: Place, members: list[Place], new: set[Point]) -> None:
        machine, tensor = self.machine, self.tensor
        source = machine.memories[self.outer, parent]
        nonzero = {point for point in new if source.held[tensor].get(point, 0)}
        ends = [(self.outer, source.read, "read")]
        ends += [(self.level, machine.memories[self.level, place].write, "fill") for place in members]
        for level, port, action in ends:
            layout = machine.layouts[level, tensor]
            words, bits = len(nonzero if layout.compressed else new), layout.bits(new)
            machine.count(level, tensor, action, words, bits)
            port.ask(job, words, bits)
        kept = nonzero if machine.layouts[self.level, tensor].compressed else new
        for place in members:
            for point in kept:
                machine.memories[self.level, place].held[tensor][point] = source.held[tensor].get(point, 0)

    def _bring_sums(self, job: Job, parent: Place, place: Place, new: set[Point]) -> None:
        """Move sums that exist, to one of the memories that share them."""
        machine, tensor = self.machine, self.tensor
        source, target = machine.memories[self.outer, parent], machine.memories[self.level, place]
        existing = {point for point in new if point in source.held[tensor]}
        for point in existing:
            target.held[tensor][point] = source.held[tensor].pop(point)
        machine.count(self.outer, tensor, "read", len(existing))
        machine.count(self.level, tensor, "fill", len(existing))
        source.read.ask(job, len(existing))
        target.write.ask(job, len(existing))

    def _take_back(self, visit: int) -> Job:
        """Move what leaves with a tile to the level further out, and add what memories share on the way."""
        machine, tensor, job = self.machine, self.tensor, Job()
        layout = machine.layouts[self.outer, tensor]
        for parent, members in self.groups:
            target = machine.memories[self.outer, parent]
            leaving = self._tile(members[0], visit) - self._tile(members[0], visit + 1)
            for place in members:
                machine.count(self.level, tensor, "write_up", len(leaving))
                machine.memories[self.level, place].read.ask(job, len(leaving))
            present = {point for point in leaving if point in target.held[tensor]}
            machine.count(self.outer, tensor, "read", len(present))
            target.read.ask(job, len(present))
            final = set()
            for point in leaving:
                sums = [machine.memories[self.level, place].held[tensor].pop(point, 0) for place in members]
                target.held[tensor][point] = target.held[tensor].get(point, 0) + sum(sums)
                self.returns[parent, point] -= 1
                if layout.compressed and self.returns[parent, point] == 0:
                    final.add(point)
            dropped = {point for point in final if not machine.is_kept(tensor, point)}
            for point in dropped:
                del target.held[tensor][point]
            words, bits = len(leaving - dropped), layout.bits(final)
            machine.count(self.outer, tensor, "update", words, bits)
            target.write.ask(job, words, bits)
        return job

    def _forget(self, visit: int) -> None:
        """Free the room of what the next tile has not got."""
        if self.is_output:
            return
        for place in self.start:
            held = self.machine.memories[self.level, place].held[self.tensor]
            for point in self._tile(place, visit) - self._tile(place, visit + 1):
                held.pop(point, None)
