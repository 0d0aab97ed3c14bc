"""How masks of weights change while a network trains: schedules, as functions of arrays.

A schedule says which weights of several layers are kept in the first iteration (`start`), and after every
iteration whether, and to what, that changes (`follow`). It keeps nothing itself: what it decides follows from
its numbers and what it is given. Weights that are left out are zero when `follow` is called.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from procrustes_model.training.patterns import Bools, Pattern, TopK
from procrustes_model.training.quantile import check_keep, select_exactly

Arrays = Sequence[NDArray[Any]]
Masks = tuple[Bools, ...]


class MaskSchedule(Protocol):
    """Which weights are kept, iteration by iteration."""

    def start(self, weights: Arrays) -> Masks:
        """Return the masks of the first iteration.

        Parameters
        ----------
        weights : sequence of float[...]
            The initial weights, layer by layer.
        """

    def follow(
        self, iteration: int, weights: Arrays, gradients: Sequence[NDArray[Any] | None], masks: Masks
    ) -> Masks | None:
        """Return the masks of an iteration, None where they stay.

        Parameters
        ----------
        iteration : int
            Iterations so far, from 1.
        weights : sequence of float[...]
            As the last iteration has left them.
        gradients : sequence of float[...] or None
            Of all weights, in the last iteration; None of a layer that did not run.
        masks : tuple of bool[...]
            Of the last iteration.
        """


@dataclass(frozen=True)
class Alternate:
    """Parts in turn, each of so many iterations, dense or sparse; the last one stays.

    A mask is chosen by magnitude when a sparse part begins, and fixed within it. A dense part begins with
    zeros where weights were left out.

    Attributes
    ----------
    parts : tuple of (int, pattern or None)
        Iterations, and the pattern of a sparse part; None: a dense one.

    Raises
    ------
    ValueError
        When there is no part, or one has no iteration.
    """

    parts: tuple[tuple[int, Pattern | None], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple((int(length), pattern) for length, pattern in self.parts))
        if not self.parts or any(length < 1 for length, _ in self.parts):
            raise ValueError("Alternate has parts of one iteration or more")

    def start(self, weights: Arrays) -> Masks:
        """Return the masks of the first iteration."""
        return _by_pattern(self.parts[0][1], weights)

    def follow(
        self,
        iteration: int,
        weights: Arrays,
        gradients: Sequence[NDArray[Any] | None],  # noqa: ARG002 - as other schedules
        masks: Masks,  # noqa: ARG002
    ) -> Masks | None:
        """Return the masks of a part where one begins."""
        begin = 0
        for (length, _), (_, pattern) in zip(self.parts, self.parts[1:], strict=False):
            begin += length
            if iteration == begin:
                return _by_pattern(pattern, weights)
        return None


@dataclass(frozen=True)
class Ramp:
    """Pruning by magnitude, more and more: the kept share falls with the third power of what is left to go.

    From `begin` to `end`, every so many iterations t, the share
    ``keep + (first - keep) (1 - (t - begin) / (end - begin))^3`` is kept. What is left out stays out.

    Attributes
    ----------
    keep : float
        The share of weights in the end.
    begin, end, every : int
        Iterations.
    first : float
        The share until `begin`, and in it.
    per_layer : bool
        This share of each layer, and not of all together.

    Raises
    ------
    ValueError
        When a number is out of range, or `every` does not divide the ramp.
    """

    keep: float
    begin: int
    end: int
    every: int = 1
    first: float = 1.0
    per_layer: bool = False

    def __post_init__(self) -> None:
        check_keep(self.keep)
        check_keep(self.first)
        if self.first < self.keep:
            raise ValueError(f"the ramp goes down: first {self.first} is less than keep {self.keep}")
        if not 0 <= self.begin < self.end or self.every < 1 or (self.end - self.begin) % self.every:
            raise ValueError(
                f"a ramp from iteration {self.begin} to {self.end} has no whole number of steps, each of "
                f"{self.every} iterations"
            )

    def share(self, iteration: int) -> float:
        """Return which share of the weights is kept in an iteration."""
        done = min(max(iteration - self.begin, 0), self.end - self.begin) // self.every * self.every
        return self.keep + (self.first - self.keep) * (1 - done / (self.end - self.begin)) ** 3

    def start(self, weights: Arrays) -> Masks:
        """Return the masks of the first iteration."""
        return TopK(self.first, self.per_layer).masks(weights)

    def follow(
        self,
        iteration: int,
        weights: Arrays,
        gradients: Sequence[NDArray[Any] | None],  # noqa: ARG002 - as other schedules
        masks: Masks,
    ) -> Masks | None:
        """Return smaller masks where the ramp takes a step."""
        if not self.begin <= iteration <= self.end or (iteration - self.begin) % self.every:
            return None
        # Before weights that are zero by chance come those that have been left out.
        magnitudes = [np.where(mask, np.abs(one), -1) for one, mask in zip(weights, masks, strict=True)]
        return _largest(magnitudes, self.share(iteration), per_layer=self.per_layer)


@dataclass(frozen=True)
class Rewire:
    """Random masks, in which the smallest weights are exchanged for those of the largest gradients.

    Every so many iterations t, before `until`, the share ``fraction / 2 (1 + cos(pi t / until))`` of each
    layer's kept weights is dropped, rounded down, the smallest; as many of the largest gradients come in, of
    all weights that are then out. Those that were not there begin with zero.

    Attributes
    ----------
    keep : float
        The share of each layer's weights.
    every, until : int
        Iterations.
    fraction : float
        From 0 to 1.
    seed : int
        Of the first masks.

    Raises
    ------
    ValueError
        When a number is out of range.
    """

    keep: float
    every: int
    until: int
    fraction: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        check_keep(self.keep)
        if self.every < 1 or self.until < 1 or self.seed < 0:
            raise ValueError(
                f"every {self.every}, until {self.until} must be from 1, seed {self.seed} from 0"
            )
        if not 0 <= self.fraction <= 1:
            raise ValueError(f"fraction {self.fraction} must be from 0 to 1")

    def start(self, weights: Arrays) -> Masks:
        """Return the masks of the first iteration."""
        random = (
            np.random.default_rng((self.seed, place)).random(one.shape) for place, one in enumerate(weights)
        )
        return _largest(list(random), self.keep, per_layer=True)

    def follow(
        self, iteration: int, weights: Arrays, gradients: Sequence[NDArray[Any] | None], masks: Masks
    ) -> Masks | None:
        """Return masks with some weights exchanged, in the iterations that say so."""
        if iteration % self.every or iteration >= self.until:
            return None
        share = self.fraction / 2 * (1 + math.cos(math.pi * iteration / self.until))
        return tuple(
            mask if gradient is None else _exchange(one, gradient, mask, int(share * mask.sum()))
            for one, gradient, mask in zip(weights, gradients, masks, strict=True)
        )


def _exchange(weights: NDArray[Any], gradients: NDArray[Any], mask: Bools, number: int) -> Bools:
    """Return a mask without its smallest weights, and with those of the largest gradients."""
    magnitudes = np.where(mask, np.abs(weights), -1.0)
    stays = _first(magnitudes, int(mask.sum()) - number)
    return stays | _first(np.where(stays, -1.0, np.abs(gradients)), number)


@dataclass(frozen=True)
class Partitions:
    """Partitions of layers are dense in turn, while the others are sparse; in the end all are.

    When its turn is over, each layer of a partition keeps its largest weights; those of the next one grow
    from zero. Layers outside of their turn keep their masks.

    Attributes
    ----------
    keep : float
        The share of a sparse layer's weights.
    layers : tuple of int
        How many layers each partition has, in their order.
    every : int
        Iterations of a turn.
    rounds : int
        How often each partition has its turn.

    Raises
    ------
    ValueError
        When a number is out of range.
    """

    keep: float
    layers: tuple[int, ...]
    every: int
    rounds: int = 1

    def __post_init__(self) -> None:
        check_keep(self.keep)
        object.__setattr__(self, "layers", tuple(int(number) for number in self.layers))
        if not self.layers or min(*self.layers, self.every, self.rounds) < 1:
            raise ValueError("partitions have one layer or more, turns one iteration, and there is one round")

    def start(self, weights: Arrays) -> Masks:
        """Return the masks of the first iteration: all layers pruned but those of the first partition.

        Raises
        ------
        ValueError
            When there are more or fewer layers.
        """
        if sum(self.layers) != len(weights):
            raise ValueError(f"the partitions have {sum(self.layers)} layers, there are {len(weights)}")
        masks = list(TopK(self.keep, per_layer=True).masks(weights))
        for place in self._places(0):
            masks[place] = np.ones(weights[place].shape, np.bool_)
        return tuple(masks)

    def follow(
        self,
        iteration: int,
        weights: Arrays,
        gradients: Sequence[NDArray[Any] | None],  # noqa: ARG002 - as other schedules
        masks: Masks,
    ) -> Masks | None:
        """Return the masks of the next turn where one ends."""
        turn, rest = divmod(iteration, self.every)
        turns = self.rounds * len(self.layers)
        if rest or turn > turns:
            return None
        found = list(masks)
        for place in self._places(turn - 1):
            found[place] = TopK(self.keep).mask(weights[place])
        for place in self._places(turn) if turn < turns else ():
            found[place] = np.ones(weights[place].shape, np.bool_)
        return tuple(found)

    def _places(self, turn: int) -> range:
        """Return the layers whose turn it is."""
        partition = turn % len(self.layers)
        first = sum(self.layers[:partition])
        return range(first, first + self.layers[partition])


def _by_pattern(pattern: Pattern | None, weights: Arrays) -> Masks:
    if pattern is None:
        return tuple(np.ones(one.shape, np.bool_) for one in weights)
    return pattern.masks(weights)


def _largest(values: Arrays, keep: float, *, per_layer: bool) -> Masks:
    """Return where numbers of either sign are largest."""
    if per_layer:
        return tuple(select_exactly([one], keep)[0] for one in values)
    return select_exactly(values, keep)


def _first(values: NDArray[Any], number: int) -> Bools:
    """Return the largest `number` of values; of equal ones the first."""
    chosen = np.zeros(values.size, np.bool_)
    chosen[np.argsort(-values.reshape(-1), kind="stable")[:number]] = True
    return chosen.reshape(values.shape)
