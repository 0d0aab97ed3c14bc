"""The processing elements, and the balancer that says what each works on."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.naive.dense import Point
from tests.naive.machine.nest import Place, add, moved

if TYPE_CHECKING:
    from tests.naive.machine.run import Machine

Piece = tuple[Place, int]
"""A piece of a tile: the element that it belongs to (among those whose work differs), and which one it is."""


@dataclass(frozen=True)
class Mac:
    """One multiply-accumulate, with the element whose tiles it takes."""

    home: Place
    points: dict[str, Point]


class Elements:
    """All processing elements, each with the computations that are left to it.

    Attributes
    ----------
    queues : dict
        By element.
    finished : int
        Array-level tiles that all elements have finished.
    working : bool
        Whether an array-level tile is begun and not finished.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.places = machine.nest.places(machine.nest.array)
        self.pieces = 1 if machine.cut is None else 2
        self.positions = machine.nest.positions(machine.cut, self.pieces)
        self.boxes = {name: machine.nest.box(name, machine.nest.array) for name in machine.nest.tensors}
        self.queues: dict[Place, deque[Mac]] = {place: deque() for place in self.places}
        self.finished = 0
        self.working = False

    def advance(self) -> bool:
        """Begin or end an array-level tile where that is possible; say whether anything changed."""
        if self.working and not any(self.queues.values()):
            self.working, self.finished = False, self.finished + 1
            return True
        nest = self.machine.nest
        ready = not self.working and self.finished < nest.steps
        if ready and all(engine.holds(self.finished) for engine in self.machine.at_array):
            self._begin(self.finished)
            self.working = True
            return True
        return False

    def tick(self) -> bool:
        """Let every element do one computation; say whether any did."""
        busy = [queue for queue in self.queues.values() if queue]
        for queue in busy:
            self._compute(queue.popleft())
        return bool(busy)

    def _compute(self, mac: Mac) -> None:
        """Read the operands from the registers, multiply, and add to the sum there."""
        machine = self.machine
        nest, memory = machine.nest, machine.memories[machine.nest.array, mac.home]
        output = nest.problem.output.name
        product = 1
        for tensor, point in mac.points.items():
            if tensor != output:
                product *= memory.held[tensor][point]
                machine.count(nest.array, tensor, "read", 1)
        sums, at = memory.held[output], mac.points[output]
        if at in sums:
            machine.count(nest.array, output, "read", 1)
        sums[at] = sums.get(at, 0) + product
        machine.count(nest.array, output, "update", 1)
        machine.counts.macs += 1

    def _begin(self, step: int) -> None:
        """Find what there is to do in an array-level tile, and who does it."""
        nest, balanced = self.machine.nest, self.machine.balanced
        todo: dict[Piece, list[Mac]] = defaultdict(list)
        replicas: dict[Place, list[Place]] = defaultdict(list)
        work: dict[Piece, int] = {}
        for place in self.places:
            group = nest.group(balanced, place)
            replicas[group].append(place)
            found = self._list_work(step, place)
            for piece in range(self.pieces):
                todo[place, piece] = found[piece]
                work[group, piece] = len(found[piece])
        for worker, pieces in self._share_out(work).items():
            for home, piece in pieces:
                for at, source in zip(replicas[worker], replicas[home], strict=True):
                    self.queues[at].extend(todo[source, piece])
                    self._count_followed(step, at, source, todo[source, piece])

    def _list_work(self, step: int, place: Place) -> list[list[Mac]]:
        """Return by piece the computations of an element that meet no zero which the machine skips."""
        machine, nest = self.machine, self.machine.nest
        corner = {tensor: nest.corner(tensor, step, place) for tensor in nest.tensors}
        found: list[list[Mac]] = [[] for _ in range(self.pieces)]
        for position in self.positions:
            points = {tensor: add(corner[tensor], at) for tensor, at in position.points.items()}
            for tensor in machine.masked:  # its bits are looked at, position by position
                machine.count(nest.array, tensor, "read", 0, 1)
            if all(machine.is_kept(tensor, points[tensor]) for tensor in machine.skipped):
                found[position.piece].append(Mac(place, points))
        return found

    def _share_out(self, work: dict[Piece, int]) -> dict[Place, list[Piece]]:
        """Return which pieces each element works on."""
        if self.pieces == 1:
            return {home: [(home, piece)] for home, piece in work}
        return place_pairs(pair_halves(work))

    def _count_followed(self, step: int, worker: Place, home: Place, todo: list[Mac]) -> None:
        """Count what a piece needs where it is worked on and has only at home."""
        if worker == home:
            return
        machine, nest = self.machine, self.machine.nest
        for tensor in nest.tensors:
            if tensor == machine.balanced:
                continue
            held = moved(self.boxes[tensor], nest.corner(tensor, step, worker))
            machine.counts.followed[tensor] += len({mac.points[tensor] for mac in todo} - held)

    def read_pointers(self, tensor: str) -> None:
        """Count what the balancer reads when tiles come: pointers of all pieces, for their work."""
        machine, nest = self.machine, self.machine.nest
        balancing = machine.design.balancing
        if tensor == machine.balanced and self.pieces > 1 and balancing.pointer_level:
            level = machine.levels.index(balancing.pointer_level[0])
            read = {(nest.parent(place, level), nest.group(tensor, place)) for place in self.places}
            pointers = balancing.pointer_reads * balancing.pointer_share
            machine.counts.pointers += len(read) * self.pieces * pointers


def pair_halves(work: dict[Piece, int]) -> list[tuple[Piece, Piece]]:
    """Return pairs: again and again the largest half that is left, with the smallest one."""
    left = sorted(work, key=lambda piece: work[piece])
    return [(left.pop(), left.pop(0)) for _ in range(len(left) // 2)]


def place_pairs(pairs: list[tuple[Piece, Piece]]) -> dict[Place, list[Piece]]:
    """Return which element works on which pair, such that one half of every pair is at home."""
    pair_of = {piece: pair for pair in pairs for piece in pair}
    placed: dict[Place, list[Piece]] = {}
    for pair in pairs:
        half, other = pair
        # Once a pair is at the home of one half, the pair that has the other half of this home goes to its
        # own other home, and so on, until the round of homes is closed.
        while half[0] not in placed and list(pair_of[half]) not in placed.values():
            placed[half[0]] = list(pair_of[half])
            beside = half[0], 1 - half[1]
            half, other = pair_of[beside]
            if half == beside:
                half = other
    return placed
