"""Layouts of uneven mappings, decided by shortest paths over the lattice of divisors.

A path knows what each entry holds, and not what the entries of a level hold together. So it bounds the energy
of mappings whose tiles fit one by one. Where the tiles of the cheapest one do not fit together, that is left
out, and the others are told apart by which of its tiles is smaller in them: either the first is, or it is not
and the second one is, and so on; where none but the last is, there is only so much room for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import UNLIMITED, Bools, Floats, Ints, NestArrays
from procrustes_model.kernels.search.arrays import SLACK
from procrustes_model.kernels.search.goal import energy_limit
from procrustes_model.kernels.search.lattice import box_words
from procrustes_model.kernels.search.path import CROWDED, NOWHERE
from procrustes_model.kernels.search.path_arrays import Road, Terrain
from procrustes_model.mapper.optimal.paths import OPEN_WAYS, Paths
from procrustes_model.mapper.optimal.roads import RUN_BITS, STATE_BITS
from procrustes_model.mapper.uneven.space import UnevenSpace

MOST_PARTS = 2_000
"""Parts of a layout and a way to spread loops that are told apart by the sizes of their tiles."""


@dataclass
class UnevenPaths(Paths):
    """Decides layouts.

    A level keeps a tensor at one entry at most: states have a code for each tensor and level, as in the even
    space, and what an entry does not keep is always zero.
    """

    _stored: dict[tuple[int, bytes], Floats] = field(default_factory=dict)
    _code: Ints = field(init=False)

    def _describe(self) -> Terrain:
        assert isinstance(self.space, UnevenSpace)
        whole, levels = super()._describe(), len(set(self.space.entries))
        slides = (whole.partner >= 0).any(axis=1)
        spare = STATE_BITS - int((~slides).sum()) * (levels - 1)
        bits = min(RUN_BITS, spare // max(1, int(slides.sum()) * (levels - 1)))
        width = np.where(slides, bits, 1)
        end = np.cumsum(np.repeat(width, levels - 1)).reshape(len(width), levels - 1)
        self._code = np.concatenate((np.zeros((len(width), 1), np.int64), end - width[:, None]), axis=1)
        every = [
            sum(int((1 << n) - 1) << int(at) for at in row[1:])
            for n, row in zip(width.tolist(), self._code, strict=True)
        ]
        return whole._replace(mask=(1 << width) - 1, every=np.array(every, np.int64))

    def _lay_out(self, terrain: Terrain, laid: Bools) -> Terrain:
        """Return where paths lead in a layout: entries that it does not use have no loops and no codes."""
        assert isinstance(self.space, UnevenSpace)
        codes = np.where(laid.T, self._code[:, list(self.space.entries)], STATE_BITS)
        loops = terrain.loops & ~self.space.idle(laid)[:, None]
        return terrain._replace(loops=loops, shift=np.ascontiguousarray(codes))

    def decide_layout(self, laid: Bools) -> float:
        """Return the least that a mapping of a layout may come to; infinite where none is better.

        Parameters
        ----------
        laid : bool[L, T]
            What entries keep.
        """
        assert isinstance(self.space, UnevenSpace)
        incumbent, lowest, open_ways = self.incumbent, math.inf, 0
        road, least = self.lay_road(laid)
        scores = self._score(road, least)
        road = road._replace(terrain=self._lay_out(road.terrain, laid))
        for way in np.lexsort((np.arange(len(scores)), scores)).tolist():
            score = float(scores[way])
            if not score * (1 - SLACK) <= incumbent.value or score == math.inf:
                break
            if incumbent.late or open_ways == OPEN_WAYS:
                return min(lowest, score)
            found = self._decide_way(road, laid, way, float(least[way]))
            if found < math.inf:
                lowest, open_ways = min(lowest, found), open_ways + 1
        return lowest

    def _decide_way(self, road: Road, laid: Bools, way: int, least: float) -> float:
        """Return what `decide_layout` does, of mappings that spread in one way."""
        incumbent, steps = self.incumbent, float(road.ways.steps[way])
        low, high, score = (
            np.zeros(len(laid)),
            np.full(len(laid), math.inf),
            incumbent.score_bound(least, steps),
        )
        parts, lowest, looked = [(low, high)], math.inf, 0
        while parts:
            if looked == MOST_PARTS or incumbent.late:
                return min(lowest, score)
            low, high = parts.pop()
            looked += 1
            incumbent.deadline.spend(1)
            limit = energy_limit(incumbent.goal, steps)
            within = road._replace(fits=road.fits & self._sized(laid, low, high))
            energy, node = self.find_path(within, way, least, limit)
            if node == NOWHERE:
                continue
            if node == CROWDED:
                return min(lowest, score)
            nests = self._trace(laid, way, node)
            if self._comes_to(energy, steps, nests):
                continue
            apart = self._part(laid, low, high, nests)
            if apart is None:
                lowest = min(lowest, incumbent.score_bound(energy, steps))
            else:
                parts += apart
        return lowest

    def _sized(self, laid: Bools, low: Floats, high: Floats) -> Bools:
        """Say for every entry and point whether what stands there takes so much room."""
        sized = np.ones((len(laid), len(self.space.lattice.indices)), np.bool_)
        for row in np.flatnonzero((low > 0) | np.isfinite(high)).tolist():
            words = self._words(row, laid[row])
            sized[row] = (words >= low[row]) & (words <= high[row])
        return sized

    def _words(self, row: int, kept: Bools) -> Floats:
        key = (row, kept.tobytes())
        if key not in self._stored:
            self._stored[key] = self.space.stored(row, kept, self.tables.floor.tile)
        return self._stored[key]

    def _part(
        self, laid: Bools, low: Floats, high: Floats, nests: NestArrays
    ) -> list[tuple[Floats, Floats]] | None:
        """Return parts of a part that together have all of its mappings whose tiles fit together.

        They are told by the room of tiles, at least and at most. The tiles of one mapping do not fit; None
        where they do.
        """
        assert isinstance(self.space, UnevenSpace)
        entries, machine = np.array(self.space.entries), self.space.model.machine
        for level in np.unique(entries):
            rows = np.flatnonzero((entries == level) & laid.any(axis=1))
            if len(rows) < 2 or machine.capacity[rows[0]] == UNLIMITED:
                continue
            room = float(machine.capacity[rows[0]])
            words = np.array([self._size(row, laid[row], nests) for row in rows.tolist()])
            if words.sum() <= room * (1 + SLACK):
                continue
            order = np.argsort(-words, kind="stable")
            parts, floor = [], low.copy()
            for place, i in enumerate(order.tolist()):
                row, ceiling = int(rows[i]), high.copy()
                # The others take what they are known to, at least.
                most = np.nextafter(words[i], 0.0)
                if place == len(order) - 1:
                    most = room * (1 + SLACK) - (words.sum() - words[i])
                ceiling[row] = min(ceiling[row], most)
                for other in rows.tolist():
                    rest = sum(floor[one] for one in rows.tolist() if one != other)
                    ceiling[other] = min(ceiling[other], room * (1 + SLACK) - rest)
                if (ceiling[rows] >= np.maximum(floor[rows], SLACK)).all():
                    parts.append((floor.copy(), ceiling))
                floor[row] = max(floor[row], words[i])
            return parts
        return None

    def _size(self, row: int, kept: Bools, nests: NestArrays) -> float:
        """Return the words that tiles take at an entry."""
        extents: Ints = nests.temporal[0, row:].prod(axis=0) * nests.spatial[0, row:].prod(axis=(0, 1))
        model, total = self.space.model, 0.0
        for t in np.flatnonzero(kept).tolist():
            total += float(box_words(model.coefficient[t], extents)) * float(model.machine.scale[row, t])
        return total
