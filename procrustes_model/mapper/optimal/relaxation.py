"""What a mapping costs at least where something is zero, in terms of what it would cost if nothing were.

The search for a dense mapping adds up, word by word, prices that it knows. Under a sparse design the price of
a dense word is bounded from below: by the density of what is compressed, by the density of what an action
looks at (a larger box is less often empty), by the least metadata that goes along. With such prices, and
with steps shortened by the zeros that are skipped, the dense search prunes nothing that could be best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from procrustes_model.kernels.dense.arrays import (
    DONE,
    FILL,
    METADATA,
    METADATA_GATED,
    READ,
    UPDATE,
    Bools,
    Floats,
    Ints,
    SumArrays,
)
from procrustes_model.kernels.search.arrays import SIMPLE, Model
from procrustes_model.kernels.search.lattice import box_words
from procrustes_model.kernels.sparse.arrays import HYPERGEOMETRIC, SKIPPED, BoxArrays
from procrustes_model.kernels.sparse.empty import find_empty
from procrustes_model.kernels.sparse.empty_on_masks import find_empty_by_mask
from procrustes_model.kernels.sparse.formats import block_bits, least_bits
from procrustes_model.kernels.sparse.fullest import FoundArrays, make_found, most_of_each
from procrustes_model.kernels.sparse.joint import count_jointly
from procrustes_model.mapper.deadline import Deadline, slices
from procrustes_model.mapper.dense_model import least_wires, word_prices
from procrustes_model.model.sparse.lower import SparseDesign

COUNTED_AT_A_TIME = 2e7
"""Elements of masks between looks at the time."""


def _with_prices(model: Model, energy: Floats, served: Floats, moved: Floats) -> Model:
    """Return a model with other prices per pack and, of components, per element (float64[L, T, 3] each).

    `moved` : float64[L, T, 4], see `Model`.
    """
    word = word_prices(model.machine, energy, served)
    word += least_wires(model.machine, model.problem.output, moved[:, :, 2:])
    return model._replace(energy=energy, served=served, word=word, moved=moved)


def _numbers(chosen: Bools) -> set[int]:
    return set(np.flatnonzero(chosen).tolist())


@dataclass(frozen=True)
class Relaxation:
    """Lower bounds of the prices of a sparse design.

    Attributes
    ----------
    design : SparseDesign
    may_keep : int64[L, T]
        1 to keep, 0 to bypass, -1 to choose.
    """

    design: SparseDesign
    may_keep: Ints
    _jointly: dict[frozenset[int], float] = field(default_factory=dict, repr=False, compare=False)
    _found: FoundArrays = field(default_factory=lambda: make_found(1 << 15), repr=False, compare=False)

    @property
    def is_valid(self) -> bool:
        """Whether no mapping costs less: not where tiles spill, or transfers follow another model's rule."""
        return self.has_prices and not (
            self.design.rules.forgetful and bool(self.design.problem.sliding.any())
        )

    @property
    def has_prices(self) -> bool:
        """Whether words have least prices: not where tiles spill, or zeros make room."""
        return self.design.overflow != "spill" and not self.design.packs

    @property
    def is_uneven(self) -> bool:
        """Whether the slowest processing element follows from what lies inside one level's network."""
        fans = self.design.machine.fanout.prod(axis=1)[: self.design.balance.array]
        return self.waits and bool(fans[:-1].prod() == 1)

    @cached_property
    def waits(self) -> bool:
        """Whether every mapping waits for the slowest processing element, so that bounds may say so.

        What it has must follow from its tile and from all loops over the array together: where that is spread
        by several levels, what is expected does, but not what is counted, nor what is cut out of n:m groups.
        """
        design, tensor = self.design, self.design.balance.tensor
        if tensor < 0 or design.actions.whole or not design.actions.skip_compute[tensor]:
            return False
        if design.counted_together.any():
            return False
        if not design.compressed[self.may_keep[:, tensor] != 0, tensor].all():
            return False
        several = design.machine.fanout.prod(axis=1)[: design.balance.array - 1].prod() > 1
        if several and (design.is_counted or design.densities.group[tensor, 1] > 0):
            return False
        return bool(design.densities.met[tensor] > 0 and design.balance.array > 0)

    def density(self, tensor: int) -> float:
        """Return the least density that accesses to a tensor can show."""
        design = self.design
        if design.masks.known[tensor] and design.problem.sliding[tensor]:
            return 0.0  # the elements at the border are used less often than others
        n, m, _ = design.densities.group[tensor].tolist()
        if m > 0 and design.problem.sliding[tensor]:
            return float(n / m)  # of a shorter last group, at the border, more is kept
        return float(design.densities.average[tensor])

    def _least(self, tensors: set[int]) -> float:
        """Return the least share of positions at which no box of several tensors is empty.

        No box is empty more often than a single element. Tensors with masks are counted together.
        """
        known = frozenset(t for t in tensors if self.design.masks.known[t])
        if len(known) < 2 or self.design.counting.masks == "independent":
            return math.prod(self._met(t) for t in tensors)
        if known not in self._jointly:
            problem, masks = self.design.problem, self.design.masks
            dimensions, count = len(problem.bounds), len(masks.known)
            chosen = np.array([t in known for t in range(count)])
            box, origin = np.ones((count, dimensions), np.int64), np.zeros(dimensions, np.int64)
            found = count_jointly(problem, masks, chosen, box, origin, problem.bounds)
            self._jointly[known] = found / math.prod(problem.bounds.astype(float))
        return self._jointly[known] * math.prod(self._met(t) for t in tensors - known)

    def _met(self, tensor: int) -> float:
        """Return the least share of computations that are taken to meet a nonzero of a tensor."""
        met = float(self.design.densities.met[tensor])
        return max(0.0, met - 5e-7) if self.design.actions.whole else met  # rounded to a millionth

    def _leaders(self, target: int, level: int) -> set[int]:
        """Return what leads actions on a tensor at a level and further out."""
        actions = self.design.actions
        mine = (actions.target == target) & (actions.level <= level)
        return _numbers(actions.leaders[mine].any(axis=0))

    def spread_factor(
        self, tensor: int, level: int, values: Ints, deadline: Deadline | None = None
    ) -> Floats:
        """Return how much more than at least is left of accesses that serve many compute units at once.

        All that the units work on that share a word must be empty for its access to be saved; where parts of
        tiles are joined, all that any of them work on.

        Parameters
        ----------
        tensor : int
            Kept at no level inside `level`.
        level : int
            Level that serves the units; the only spatial loops are between levels.
        values : int64[n, D]
            Factors spread over the units.
        deadline : Deadline, optional

        Returns
        -------
        float64[n]
            1 or more.

        Raises
        ------
        OutOfTime
        """
        design, actions = self.design, self.design.actions
        own = np.flatnonzero((actions.target == tensor) & (actions.level >= level))
        outer = (actions.target == tensor) & (actions.level < level)
        if not len(own) or outer.any() or design.machine.fanout[-1].prod() > 1:
            return np.ones(len(values))
        if design.masks.known[actions.leaders[own].any(axis=0)].sum() > 1:
            return np.ones(len(values))
        tensors = self.may_keep.shape[1]
        shared = values if actions.joined else np.where(design.problem.rank[tensor] >= 0, 1, values)
        boxes = BoxArrays(
            np.zeros((len(values), len(own)), np.int64),
            np.repeat(np.repeat(shared[:, None, None], len(own), axis=1), tensors, axis=2),
            np.repeat(actions.leaders[None, own], len(values), axis=0),
        )
        empty = np.zeros((len(values), len(own), tensors))
        find_empty(design.problem, design.densities, boxes, empty)
        if design.masks.known.any():
            size = max(1, int(COUNTED_AT_A_TIME / max(design.densities.size)))
            for part in slices(len(values), size, deadline or Deadline()):
                some = BoxArrays(boxes.level[part], boxes.extent[part], boxes.effective[part])
                status = np.zeros(len(some.level), np.int64)
                find_empty_by_mask(design.problem, design.densities, design.masks, some, status, empty[part])
        if (design.machine.pack > 1).any():
            # A block of words may cut n:m groups elsewhere; no box is empty more often than an element.
            for t in np.flatnonzero(design.densities.is_grouped).tolist():
                empty[:, actions.leaders[own, t], t] = 1 - self.density(t)
        left = (1 - empty).min(axis=1).prod(axis=1)
        least = self._least(self._leaders(tensor, self.may_keep.shape[0]))
        return np.asarray(np.maximum(left / least, 1.0)) if least > 0 else np.ones(len(values))

    def _moved(self, level: int, tensor: int) -> tuple[Floats, Floats]:
        """Return the least shares of accesses that actions leave, and of nonzeros among all words.

        Both float64[3], by action: what an outer level does not send does not fill this one.
        """
        outer, here = self._leaders(tensor, level - 1), self._leaders(tensor, level)
        found = []
        for leaders in (outer, here):
            left = self._least(leaders)
            known = self.design.masks.known[list(leaders | {tensor})].sum() > 1
            known = known and self.design.counting.masks == "joint"
            slides = self.design.problem.sliding[tensor] and self.design.masks.known[tensor]
            dense = self._least(leaders | {tensor}) if known else left * self.density(tensor)
            found.append((left, 0.0 if slides else dense))
        order = (1, 0, 1)  # READ, FILL, UPDATE
        return np.array([found[i][0] for i in order]), np.array([found[i][1] for i in order])

    def _bits(self, level: int, tensor: int) -> float:
        """Return the least bits of metadata per position of a tile."""
        design = self.design
        block = int(design.formats.block[level, tensor])
        largest = block if block > 0 else int(design.densities.size[tensor])
        return float(least_bits(design.formats.terms, level, tensor, self.density(tensor), largest))

    def _access(self, level: int, tensor: int, action: int, first: int) -> float:
        """Return the least price of one access; `first` is that of a read, of data or of metadata."""
        table = self.design.machine.price[level, tensor]
        prices = table[first : first + 3]
        if first == METADATA and not self.design.rules.dearest:
            prices = np.minimum(prices, table[METADATA_GATED : METADATA_GATED + 3])
        return float(prices.max() if self.design.rules.dearest else prices[action])

    def _price(self, level: int, tensor: int, action: int) -> float:
        """Return what it costs to access a pack of elements; what is read and filled of an output are sums.

        Where all accesses count together, they are as wide as what arrives.
        """
        machine, sums = self.design.machine, self._sums
        packs = float(machine.split[level, tensor])
        if tensor == sums.output and action != UPDATE and not self.design.rules.dearest:
            packs = float(sums.split[level] * machine.pack[level, tensor] / sums.pack[level])
        return self._access(level, tensor, action, READ) * packs

    @cached_property
    def _sums(self) -> SumArrays:
        """Partial sums: no wider than elements where they are stored compressed."""
        machine, sums = self.design.machine, self.design.machine.sums
        t = sums.output
        if t < 0:
            return sums
        wide = ~self.design.compressed[:, t]
        own = machine.bits[:, t], machine.pack[:, t], machine.split[:, t], machine.scale[:, t]
        return SumArrays(t, *(np.where(wide, a, b) for a, b in zip(sums[1:], own, strict=True)))

    def _metadata_price(self, level: int, tensor: int, action: int) -> float:
        """Return what a word of metadata costs at least."""
        return self._access(level, tensor, action, METADATA) / float(self.design.machine.metadata.pack[level])

    def _prices(self, model: Model) -> tuple[Floats, Floats, Floats, float]:
        """Return prices per pack and, of components, per element, shares moved, and a constant.

        The first two are float64[L, T, 3], the shares float64[L, T, 4].
        """
        design, formats = self.design, self.design.formats
        sums = design.counting.partial_sums == "compressed"
        energy, served = np.zeros((2, *self.may_keep.shape, 3))
        per_use = design.machine.served
        constant = 0.0
        moved = np.ones((*self.may_keep.shape, 4))
        for level, t in np.ndindex(*self.may_keep.shape):
            density = self.density(t)
            output, shrunk = bool(model.output[t]), bool(formats.compressed[level, t])
            word = float(formats.bits[level])
            words = self._bits(level, t) / word if shrunk else 0.0
            positions, loses_blocks = int(formats.block[level, t]), bool(formats.dropped[level, t])
            if loses_blocks and positions <= 0:
                words = 0.0
            share, nonzeros = self._moved(level, t)
            if design.counting.empty_tiles == "unused":  # instances without a tile do nothing at all
                share = nonzeros.copy()
            if output and design.actions.whole and (design.actions.target == t).any():
                share[READ] = nonzeros[READ] = 0.0  # what is saved of them is rounded up
            if formats.implied[level, t]:
                density, nonzeros = 0.0, np.zeros(3)
            described, sent = np.zeros(3), 1.0
            if output and shrunk and sums:
                share = nonzeros
            elif output and shrunk:
                outer = level == 0 and share[UPDATE] == 1
                if not outer:
                    share[UPDATE] *= density
                else:
                    # what leaves for good is known: every element once
                    sent = density  # of what ports and networks have, some may leave for good
                    touched = box_words(model.coefficient[t], model.bounds)
                    surely = model.kind[t] == SIMPLE and not model.problem.gapped and not loses_blocks
                    extra = words if surely else 0.0
                    done = self._price(level, t, UPDATE) / model.pack[level, t]
                    one = self._metadata_price(level, t, UPDATE)
                    spared = (1 - density) * (done + per_use[level, t, UPDATE])
                    constant += float(touched * (extra * one - spared))
            elif shrunk:
                share, described = nonzeros, share * words
                if loses_blocks and words:
                    units = float(design.machine.fanout[:level].prod())
                    block = block_bits(formats.terms, level, t, positions) / word
                    constant -= float(3 * units * block * self._metadata_price(level, t, READ))
            for action in (READ, FILL, UPDATE):
                energy[level, t, action] = share[action] * self._price(level, t, action)
                accesses = float(model.pack[level, t] / design.machine.metadata.pack[level])  # mostly 1
                energy[level, t, action] += (
                    described[action] * self._access(level, t, action, METADATA) * accesses
                )
                served[level, t, action] = share[action] * per_use[level, t, action]
            scale, width = float(design.machine.scale[level, t]), float(design.machine.bits[level, t])
            share[UPDATE] *= sent
            if loses_blocks:
                described = np.zeros(3)
            ported = share * scale
            ported += described * float(design.machine.metadata.scale[level])
            moved[level, t, :2] = ported[READ], min(ported[FILL], ported[UPDATE])
            wired = share * width + described * word
            moved[level, t, 2:] = width if design.rules.dense_wires else wired[[READ, UPDATE]]
            if t == self._sums.output:  # what is read are sums
                moved[level, t, READ] *= self._sums.scale[level] / scale
                moved[level, t, 2] *= self._sums.bits[level] / width
        return energy, served, moved, constant

    def _shares(self) -> tuple[float, float]:
        """Return the least shares of computations that take energy, and that take time."""
        actions, output = self.design.actions, self.design.problem.output
        delivered = actions.target != output
        late = delivered & ((actions.kind == SKIPPED) | actions.dropped)
        led, skipped = (_numbers(actions.leaders[one].any(axis=0)) for one in (delivered, late))
        operands, gated = _numbers(actions.skip_compute), _numbers(actions.gate_compute)
        if actions.absent:  # what meets nothing but zeros is none
            operands |= _numbers(np.asarray(self.design.compressed.any(axis=0))) - {output}
        return self._least(led | operands | gated), self._least(skipped | operands)

    def computing_alone(self, computes: int) -> tuple[float, float]:
        """Return pJ and cycles per computation that computing takes, where words have no least price.

        What meets a zero of no tensor that decides anything is computed, wherever loops in space lie: of
        instances that zeros leave out, there is room for no more than have something to do.
        """
        actions, machine = self.design.actions, self.design.machine
        deciding = _numbers(np.asarray(actions.leaders.any(axis=0))) | set(self.design.pack.target.tolist())
        deciding |= {int(t) for t in actions.target}
        deciding |= _numbers(actions.skip_compute) | _numbers(actions.gate_compute)
        if actions.absent:
            deciding |= _numbers(np.asarray(self.design.compressed.any(axis=0)))
        share = self._least(deciding)
        price = float(machine.compute_price[DONE]) + machine.served_compute
        return computes * share * price, share * machine.cycles_per_compute

    @property
    def time_share(self) -> float:
        """The least share of computations that take time."""
        return self._shares()[1]

    def relax(self, model: Model) -> Model:
        """Return a model with prices that no mapping undercuts, whatever levels keep.

        Parameters
        ----------
        model : Model
            Dense.

        Returns
        -------
        Model
        """
        energy, served, moved, constant = self._prices(model)
        spent, time = self._shares()
        machine = self.design.machine
        computing = float(machine.compute_price[DONE]) + machine.served_compute
        base = model.computes * spent * computing + constant
        priced = _with_prices(model, energy, served, moved)
        work = time * machine.cycles_per_compute
        # Sums that are read before they are sent up come on top of what a bound knows.
        plain = model.machine._replace(drains=np.zeros_like(model.machine.drains), sums=self._sums)
        return priced._replace(machine=plain, whole=False, work=work, uneven=self.is_uneven, base=base)

    def forget(self, model: Model) -> Model:
        """Return prices that hold under the older rule of transfers: sliding tiles may come for nothing."""
        energy, served = model.energy.copy(), model.served.copy()
        sliding = self.design.problem.sliding
        for prices in (energy, served):
            prices[:-1, sliding] = 0.0
            prices[-1, sliding, FILL] = 0.0
        moved = model.moved.copy()
        moved[:, sliding] = 0.0
        return _with_prices(model, energy, served, moved)

    def stored(self, level: int, tensor: int, words: Ints) -> Floats:
        """Return the least words that tiles take.

        Parameters
        ----------
        level, tensor : int
        words : int64[n]
            Elements of the tiles.

        Returns
        -------
        float64[n]
        """
        design = self.design
        elements, scale = words.astype(float), float(self.design.machine.scale[level, tensor])
        if design.capacity_size == "dense" or not design.compressed[level, tensor]:
            return elements * scale
        described = elements * (self._bits(level, tensor) * float(design.formats.room[level]))
        if design.formats.implied[level, tensor]:
            return np.asarray(described)
        nonzeros = elements * self.density(tensor)
        anywhere = design.densities.model[tensor] == HYPERGEOMETRIC and not design.masks.known[tensor]
        if design.capacity_size != "average" and anywhere:
            # What does not fit on average need not be looked at.
            near = np.flatnonzero(scale * nonzeros + described <= design.machine.capacity[level])
            share, deviations = design.share, design.deviations
            most = most_of_each(design.densities, tensor, words[near], share, deviations, self._found)
            nonzeros[near] = np.maximum(nonzeros[near], most)
        return np.asarray(scale * nonzeros + described)
