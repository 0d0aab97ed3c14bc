"""What the cost of a training run returns: its turns, their sums, and dense training beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from procrustes_model.errors import Issue, SpecError
from procrustes_model.network.computations import Computations, CountedRow, sum_of
from procrustes_model.network.request import Mappings
from procrustes_model.network.result import Row, Totals, add_up
from procrustes_model.shown import Shown
from procrustes_model.spec.widths import NO_BITS, Bits
from procrustes_model.vocabulary import Phase


@dataclass(frozen=True)
class PartCost:
    """Iterations in a row that cost the same.

    Attributes
    ----------
    iterations : int
    weight_density : float
        Weights kept / weights, of the whole network.
    rows : tuple of Row
        One training step on the sparse design: every layer and phase. Empty where computations alone are
        counted.
    bits : Bits
        What the part states of the bits of elements.
    counted : tuple of CountedRow
        Computations of the same layers and phases.
    designs : tuple of str
        Names of the designs of its layers, that of most layers first.
    dense : str
        Layers whose turn it is to be dense; empty: no partitions take turns.
    at_once : int or None
        A number that parts share which run at the same time, each on a machine of its own.
    """

    iterations: int
    weight_density: float
    rows: tuple[Row, ...]
    bits: Bits = NO_BITS
    counted: tuple[CountedRow, ...] = ()
    designs: tuple[str, ...] = ()
    dense: str = ""
    at_once: int | None = None

    def step(self, phase: Phase | None = None) -> Totals:
        """Return the cost of one training step, in a phase or all.

        Raises
        ------
        SpecError
            Where computations alone were counted.
        """
        if self.counted and not self.rows:
            message = "energy and cycles are not known: computations alone were counted"
            raise SpecError(Issue(message, "leave out macs"))
        return add_up(row for row in self.rows if phase in (None, row.phase))

    def computations(self, phase: Phase | None = None) -> Computations:
        """Return the computations of one training step, in a phase or all."""
        return sum_of(row for row in self.counted if phase in (None, row.phase))

    @property
    def energy_pj(self) -> float:
        """Energy of all its iterations."""
        return self.iterations * self.step().energy_pj

    @property
    def cycles(self) -> int:
        """Cycles of all its iterations."""
        return self.iterations * self.step().cycles


@dataclass(frozen=True, repr=False)
class TrainCost(Shown):
    """What a training run costs, and the same number of iterations of dense training.

    Attributes
    ----------
    architecture, network, schedule, design : str
        Names; the design is the sparse one, several with commas between them, or 'dense' where only bits or
        phases change.
    batch : int
        Samples per training step.
    mappings : str
        'each' or 'dense'; see `train_cost`.
    parts : tuple of PartCost
        First to last: of a schedule, with every repetition, ramp and turn written out.
    dense : PartCost
        All iterations where nothing is zero, without a sparse design and without the parts' bits.
    states : int
        Distinct states of the network.
    searches : int
        Distinct searches; what a folder had kept counts too.
    unsaved : tuple of (str, Phase)
        Layers and phases whose best dense mapping has no room for what the design saves, so that in some part
        nothing is saved there.
    clock_ghz : float or None
        Of the machine; None: there is no time, only cycles.
    first_data_gradient : bool
        Whether the first layer has a backward phase, in the run and in dense training.
    macs : bool
        Whether computations alone were counted, without a search.
    """

    architecture: str
    network: str
    schedule: str
    design: str
    batch: int
    mappings: Mappings
    parts: tuple[PartCost, ...]
    dense: PartCost
    states: int
    searches: int
    unsaved: tuple[tuple[str, Phase], ...] = ()
    clock_ghz: float | None = None
    first_data_gradient: bool = True
    macs: bool = False

    @property
    def iterations(self) -> int:
        """Training steps of all parts, on all machines."""
        return sum(part.iterations for part in self.parts)

    @property
    def energy_pj(self) -> float:
        """Energy of the whole run, of all machines."""
        return sum(part.energy_pj for part in self.parts)

    @property
    def cycles(self) -> int:
        """Cycles of the whole run: layers and phases one after the other, of parts at once the longest."""
        return self._one_after_other(lambda part: part.cycles)

    @property
    def dense_energy_pj(self) -> float:
        """Energy of dense training, of all its iterations."""
        return self.dense.energy_pj

    @property
    def dense_cycles(self) -> int:
        """Cycles of dense training; where parts run at once, so does it."""
        step = self.dense.step().cycles
        return self._one_after_other(lambda part: part.iterations * step)

    @property
    def machines(self) -> int:
        """Machines that run at the same time, where most of them do."""
        return max((len(together) for together in self._together()), default=1)

    def computations(self, phase: Phase | None = None) -> Computations:
        """Return the computations of the whole run, in a phase or all."""
        return _times([(part.iterations, part.computations(phase)) for part in self.parts])

    def dense_computations(self, phase: Phase | None = None) -> Computations:
        """Return those of dense training."""
        return _times([(self.dense.iterations, self.dense.computations(phase))])

    @property
    def weight_density(self) -> float:
        """Weights kept / weights, the mean over all training steps."""
        return sum(part.iterations * part.weight_density for part in self.parts) / self.iterations

    @property
    def proven(self) -> bool:
        """Whether every mapping is proven the best."""
        return all(row.case.proven for part in (*self.parts, self.dense) for row in part.rows)

    def _together(self) -> Iterator[list[PartCost]]:
        """Yield the parts that run at the same time."""
        for number, parts in groupby(self.parts, key=lambda part: part.at_once):
            together = list(parts)
            yield from [together] if number is not None else [[part] for part in together]

    def _one_after_other(self, cycles: Callable[[PartCost], int]) -> int:
        return sum(max(cycles(part) for part in parts) for parts in self._together())


def _times(parts: list[tuple[int, Computations]]) -> Computations:
    """Return the computations of parts, each as often as its iterations say."""
    bits = [number * one.bit_operations for number, one in parts if one.bit_operations is not None]
    return Computations(
        sum(number * one.dense for number, one in parts),
        sum(number * one.done for number, one in parts),
        sum(bits) if len(bits) == len(parts) else None,
    )
