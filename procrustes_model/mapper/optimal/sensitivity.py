"""What of a mapping decides which boxes actions look at, and nothing else (`kernels.sparse.boxes`).

The box of an action depends on tiles, on which spatial loops there are, and, by the rule that a design names,
on more:

- this model's: a tile of a storage child stays while temporal loops of the levels outside the child do not
  move it, to the outermost level. What of these loops is inside the first one that moves it decides. Where an
  access has more words than the tile, it takes in what comes next: the spatial loops, x before y, then the
  other temporal loops, one after the other. Compute units take an element each step: no temporal loop
  matters, and spatial ones do only where an access has several words.
- the published one: of the levels between home and child, which loops are inside the first one that moves the
  tile, which one that is, and the spatial loops as they lie on x and y. At compute units, these where they
  complete the target's tile, and the innermost loop of all, along which an access of several words grows.

In formats whose ranks are loops, the loops between a level and the next one inside that keeps the tensor are
bound to ranks one by one: all of their order, and how spatial factors lie on x and y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from procrustes_model.kernels.dense.arrays import Bools, Ints, NestArrays
from procrustes_model.kernels.search.lattice import box_words
from procrustes_model.model.sparse.lower import SparseDesign

NOTHING, INSIDE, FIRST, ALL, EVERY = range(5)
"""What matters of the order of a level's loops: nothing; which are inside the first that moves a tensor;
which one that is, too; all that is further out, too; the whole order."""


@dataclass(frozen=True)
class Tile:
    """What actions of one level on a tensor move.

    Attributes
    ----------
    tensor : int
    home, child : int
        Level that serves it, and the one that it serves: L for compute units.
    pack : int
        Elements per access.
    """

    tensor: int
    home: int
    child: int
    pack: int


@dataclass(frozen=True)
class Sensitivity:
    """What of mappings that keep the same decides the boxes of actions.

    Attributes
    ----------
    tiles : tuple of Tile
    joined : bool
        Whether the rule is the published one.
    wide : bool[L]
        Whether a level has instances on x and on y.
    fans : bool
        Whether the innermost level has several compute units.
    led : bool[T, D]
        Which dimensions move a leader of actions on a tensor.
    moves : bool[T, D]
        Which move the tensor.
    ranked : bool[L, T]
        Loops of which levels are bound to ranks of formats.
    """

    tiles: tuple[Tile, ...]
    joined: bool
    wide: Bools
    fans: bool
    led: Bools
    moves: Bools
    ranked: Bools

    @property
    def innermost(self) -> bool:
        """Whether the innermost loop of all decides."""
        return self.joined and any(tile.pack > 1 for tile in self.tiles if tile.child == len(self.wide))

    @property
    def any(self) -> bool:
        """Whether order or split of some mapping may decide."""
        inside = any(tile.child < len(self.wide) for tile in self.tiles)
        packed = any(tile.pack > 1 for tile in self.tiles)
        boxed = bool(self.tiles) and (inside or packed or (self.joined and self.fans))
        return bool(boxed or self.ranked.any())

    def of(self, nests: NestArrays, n: int, coefficient: Ints) -> tuple[Ints, Bools]:
        """Return what decides in one mapping.

        Parameters
        ----------
        nests : NestArrays
        n : int
        coefficient : int64[T, R, D]
            As in `Model`.

        Returns
        -------
        order : int64[L, T]
            What matters of a level's order for boxes that a tensor's accesses look at.
        split : bool[L]
            Whether it matters how spatial factors lie on x and y.
        """
        levels, temporal = len(self.wide), nests.temporal[n]
        order, split = np.zeros((levels, len(self.moves)), np.int64), np.zeros(levels, np.bool_)
        for tile in self.tiles:
            several = not self.joined and tile.pack > _words(tile, nests, n, coefficient)
            if several or (self.joined and (tile.child < levels or self.fans)):
                split[tile.home : tile.child] = True
            if tile.child == levels:
                continue
            detail = ALL if several else FIRST if self.joined else INSIDE
            for level in range(tile.child - 1, tile.home - 1 if self.joined else -1, -1):
                order[level, tile.tensor] = max(order[level, tile.tensor], detail)
                if not several and (self.moves[tile.tensor] & (temporal[level] > 1)).any():
                    break
        order[self.ranked] = EVERY
        split |= self.ranked.any(axis=1)
        return order, split & self.wide

    def see(self, order: tuple[int, ...], details: Ints) -> tuple[object, ...]:
        """Return what boxes see of a level's order.

        Parameters
        ----------
        order : tuple of int
            Loops, innermost first.
        details : int64[T]
            What matters.
        """
        if (details == EVERY).any():
            return (order,)
        seen: list[object] = []
        for t in np.flatnonzero(details).tolist():
            moving = [i for i, d in enumerate(order) if self.moves[t, d]]
            if self.joined:
                first = moving[0] if moving else len(order) - 1
                seen.append((frozenset(order[:first]), order[first]))
                continue
            first = moving[0] if moving else len(order)
            inside = frozenset(d for d in order[:first] if self.led[t, d])
            seen.append((inside, order[first:] if details[t] == ALL else ()))
        return tuple(seen)


def _words(tile: Tile, nests: NestArrays, n: int, coefficient: Ints) -> int:
    """Return the words of the child's tile; 1 at compute units."""
    inside = nests.temporal[n, tile.child :].prod(axis=0)
    inside = inside * nests.spatial[n, tile.child :].prod(axis=(0, 1))
    return int(box_words(coefficient[tile.tensor], inside))


def _led(design: SparseDesign) -> Bools:
    """Return which dimensions move a leader of actions on a tensor, bool[T, D]."""
    moves, actions = design.problem.rank >= 0, design.actions
    led = np.zeros_like(moves)
    for target, leaders in zip(actions.target.tolist(), actions.leaders, strict=True):
        led[target] |= moves[leaders].any(axis=0)
    return led


def find_sensitivity(design: SparseDesign, keep: Bools) -> Sensitivity:
    """Return what of mappings that keep `keep`, bool[L, T], decides the boxes of actions."""
    machine, actions, levels = design.machine, design.actions, len(keep)
    tiles = []
    for level, t in zip(actions.level.tolist(), actions.target.tolist(), strict=True):
        home = max((p for p in range(level + 1) if keep[p, t]), default=0)
        child = min((p for p in range(home + 1, levels) if keep[p, t]), default=levels)
        tiles.append(Tile(t, home, child, int(machine.pack[home, t])))
    return Sensitivity(
        tiles=tuple(dict.fromkeys(tiles)),
        joined=bool(actions.joined),
        wide=np.asarray((machine.fanout > 1).all(axis=1)),
        fans=bool(machine.fanout[-1].prod() > 1),
        led=_led(design),
        moves=np.asarray(design.problem.rank >= 0),
        ranked=_ranked(design, keep),
    )


def _ranked(design: SparseDesign, keep: Bools) -> Bools:
    """Return the levels whose loops are bound to ranks of the formats of a tensor, bool[L, T]."""
    ranked = np.zeros_like(keep)
    if design.has_loop_ranks:
        for level, t in np.argwhere(keep & (design.formats.ranks.listed > 0)).tolist():
            child = min((p for p in range(level + 1, len(keep)) if keep[p, t]), default=len(keep))
            ranked[level:child, t] = True
    return ranked


def minds_layout(design: SparseDesign, may_keep: Ints) -> bool:
    """Say whether boxes may depend on which of two dimensions spatial loops name first.

    `may_keep` : int64[L, T], 1 to keep, 0 to bypass, -1 to choose.
    """
    machine, actions = design.machine, design.actions
    for level, t in zip(actions.level.tolist(), actions.target.tolist(), strict=True):
        if actions.joined and (machine.fanout[-1].prod() > 1 or may_keep[level + 1 :, t].any()):
            return True
        if not actions.joined and machine.pack[: level + 1, t].max() > 1 and (machine.fanout > 1).any():
            return True
    return False
