"""What many ways to spread loops have in common: the levels inside the outermost network.

Ways that spread alike further in, and the same of what slides, differ there only in how many instances share
a tile, in the room that rounding leaves, and in what first accumulations spare. One path of all of them, with
the best of each, is a bound: it is followed up to that network, and what lies behind it costs each way at
least what filling the levels outside does. Mostly few ways remain of which a path of their own is looked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.search.arrays import SIMPLE, Goal, Model
from procrustes_model.kernels.search.path import CROWDED, find_path
from procrustes_model.kernels.search.path_arrays import Road, Ways
from procrustes_model.kernels.search.path_exits import limit_energies, list_exits
from procrustes_model.kernels.search.path_links import bound_computing
from procrustes_model.mapper.space import Space

FEW = 8
"""Ways of a group below which each has a path of its own at once."""

AT_ONCE = 1_000_000
"""Exits, times ways, that are looked at at a time."""

_ALIKE = 1e-9
"""Relative rounding of shares that are the same."""


@dataclass
class Groups:
    """Ways to spread by what they have in common inside of the outermost network.

    Attributes
    ----------
    space : Space
    ways : Ways
    volume : float64[V]
        Operations inside a point.
    network : int
        The level below which it is.
    any : bool
        Whether anything is in common, and known.
    of : int64[S]
        The group of a way.
    sliding : int64[S]
        What a way spreads there over dimensions that slide, as a point.
    share : float64[S]
        Instances that the network reaches with that alone, over those that it reaches.
    tiles : float64[S, T]
        Different tiles of an instance's in the network, at least, times `share`.
    model : Model
        That does not round accesses, and knows neither networks nor wide sums: what it costs is no more.
    """

    space: Space
    ways: Ways
    volume: Floats
    network: int = field(init=False)
    any: bool = field(init=False)
    of: Ints = field(init=False)
    sliding: Ints = field(init=False)
    share: Floats = field(init=False)
    tiles: Floats = field(init=False)
    model: Model = field(init=False)
    _ready: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        spread, lattice, model = self.ways.spread, self.space.lattice, self.space.model
        used = np.flatnonzero(spread.any(axis=0))
        self.network = int(used[0]) if len(used) else self.space.levels - 1
        machine = model.machine
        instances = np.concatenate(([1], np.cumprod(self.space.mesh[:-1])))
        # Where several share a port, or sums are read on their way up, accesses are not rounded one by one.
        known = bool((machine.ports >= instances).all()) and not machine.drains.any()
        self.any = known and self.network < self.space.levels - 2  # of one level all loops are placed at once
        ranks = model.coefficient != 0
        pairs = (ranks & (model.bounds > 1)).sum(axis=2) > 1
        slides = (ranks & pairs[:, :, None]).any(axis=(0, 1))
        outside = spread[:, self.network]
        self.sliding = lattice.indices[outside][:, slides] @ lattice.stride[slides]
        key = np.column_stack((spread[:, self.network + 1 :], self.sliding))
        self.of = np.unique(key, axis=0, return_inverse=True)[1].reshape(-1)
        self.share = self.volume[self.sliding] / self.volume[outside]
        self.tiles = self.ways.least[:, self.network] * self.share[:, None]
        free = model.moved.copy()
        free[:, :, 2:] = 0.0
        plain = machine._replace(sums=machine.sums._replace(output=-1))
        self.model = model._replace(whole=False, machine=plain, moved=free)

    def compile(self, road: Road, goal: Goal) -> None:
        """Compile what bounding ways together takes, but for paths, while time does not count."""
        if not self._ready:
            none, nothing = np.empty(0, np.int64), np.empty(0)
            with self.space.deadline.suspended():
                list_exits(self.model, road, 0, 0, none, none, nothing)
                limit_energies(goal, nothing, nothing)
            self._ready = True

    def members(self, group: int) -> Ints:
        """Return the ways of a group."""
        return np.flatnonzero(self.of == group)

    def split(self, chosen: Ints) -> list[Ints]:
        """Split some ways into those in which a tensor has more and fewer tiles; none where all are alike."""
        if len(chosen) < FEW:
            return []
        tiles = self.tiles[chosen]
        lowest, highest = tiles.min(axis=0), tiles.max(axis=0)
        t = int(np.argmax(highest / lowest))
        if highest[t] <= lowest[t] * (1 + _ALIKE):
            return []
        few = tiles[:, t] <= math.sqrt(lowest[t] * highest[t])
        return [chosen[~few], chosen[few]]

    def common_way(self, chosen: Ints) -> Ways:
        """Return a way that costs no more than any of some of a group up to the network.

        It spreads nothing there but what slides, and its tiles are told apart in as few as in any of them.
        """
        ways, network, model = self.ways, self.network, self.space.model
        one = int(chosen[0])
        spread = ways.spread[one : one + 1].copy()
        spread[0, network] = self.sliding[one]
        share = self.share[chosen]
        units = ways.units[one : one + 1].copy()
        units[0, network + 1 :] *= share[0]
        least, most = ways.least[one : one + 1].copy(), ways.most[one : one + 1].copy()
        least[0, network] = self.tiles[chosen].min(axis=0)
        most[0, network] = (ways.most[chosen, network] * share[:, None]).max(axis=0)
        simple = model.kind == SIMPLE
        most[0, network, simple] = least[0, network, simple]  # of these nothing is spared
        fresh = (ways.fresh[chosen] * ways.units[chosen, :-1]).max(axis=0)[None] / units[:, :-1]
        return Ways(spread, ways.steps[one : one + 1], units, fresh, least, most)


def raise_bounds(
    groups: Groups, road: Road, members: Ints, computing: Floats, limits: Floats, least: Floats
) -> bool:
    """Raise the bounds of ways of one group, of all together, then of parts of those that are left.

    Parameters
    ----------
    groups : Groups
    road : Road
        Of one choice of what levels keep.
    members : int64[n]
        Ways.
    computing : float64[S]
        Energy of serving the compute units, at least, with what every mapping spends.
    limits : float64[S]
        Energies above which paths are of no interest.
    least : float64[S]
        Bounds; changed: infinite where all paths are above the limit.

    Returns
    -------
    bool
        Whether anything was found out.
    """
    raised, parts = False, [members] if groups.any else []
    while parts:
        chosen = parts.pop()
        chosen = chosen[np.isfinite(limits[chosen]) & (least[chosen] <= limits[chosen])]
        if len(chosen) < FEW:
            continue
        bounds = bound_together(groups, road, chosen, computing[chosen], limits[chosen])
        if bounds is not None:
            raised = True
            least[chosen] = np.maximum(least[chosen], bounds)
            parts += groups.split(chosen[np.isfinite(least[chosen])])
    return raised


def bound_together(
    groups: Groups, road: Road, chosen: Ints, computing: Floats, limits: Floats
) -> Floats | None:
    """Return what paths of some ways of one group cost at least; infinite where that is above the limit.

    Parameters
    ----------
    groups : Groups
    road : Road
        Of one choice of what levels keep.
    chosen : int64[n]
        Ways.
    computing : float64[n]
        Energy of serving the compute units, at least, with what every mapping spends.
    limits : float64[n]
        Energies above which paths are of no interest.

    Returns
    -------
    float64[n] or None
        None where too much is within the limits, or nothing is known.
    """
    space, network = groups.space, groups.network
    way = groups.common_way(chosen)
    sliding = space.model.kind != SIMPLE
    apart = way.least[0, network] < way.most[0, network] * (1 - _ALIKE)
    if (apart & sliding & (road.parent[-1] <= network)).any():
        return None  # how many tiles serve the compute units follows from all that is spread
    model, levels = groups.model, space.levels
    fits, loops = road.fits.copy(), road.terrain.loops.copy()
    fits[network], loops[: network + 1] = False, False
    links = road.links._replace(
        later=np.zeros(levels), wired=np.zeros_like(road.links.wired), share=np.zeros_like(road.links.share)
    )
    inner = road._replace(fits=fits, ways=way, links=links, terrain=road.terrain._replace(loops=loops))
    common = np.empty(1)
    bound_computing(model, inner, common)
    more = computing - (common[0] + model.base)
    limit = float((limits - more).max())
    if find_path(model, inner, 0, limit)[1] == CROWDED:
        return None
    count = int(road.trails.edges[1])
    points, states, least = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count)
    found = list_exits(model, inner, network, count, points, states, least)
    spread = road.ways.spread[chosen, network] - groups.sliding[chosen]
    bounds: Floats = _go_on(road, network, points[:found], least[:found], spread) + more
    bounds[bounds > limits] = math.inf
    return bounds


def _go_on(road: Road, network: int, points: Ints, least: Floats, spread: Ints) -> Floats:
    """Return the least of what ways cost behind exits, float64[n]; infinite where none leads on.

    Parameters
    ----------
    road : Road
    network : int
    points : int64[N]
        Of exits.
    least : float64[N]
        What they have cost.
    spread : int64[n]
        What ways spread there, as points.
    """
    bounds = np.full(len(spread), math.inf)
    if not len(points):
        return bounds
    order = np.lexsort((least, points))
    first = np.concatenate(([True], np.diff(points[order]) > 0))
    points, least = points[order][first], least[order][first]
    exponents, togo, last = road.lattice.exponents, road.togo[network], len(road.lattice.value) - 1
    size = max(1, AT_ONCE // len(points))
    different, back = np.unique(spread, return_inverse=True)
    reached = np.empty(len(different))
    for begin in range(0, len(different), size):
        part = different[begin : begin + size]
        leads = np.ones((len(part), len(points)), np.bool_)
        for axis in range(exponents.shape[1]):
            leads &= exponents[part, axis][:, None] + exponents[points, axis] <= exponents[-1, axis]
        after = np.where(leads, part[:, None] + points, last)
        reached[begin : begin + size] = np.where(leads, least + togo[after], math.inf).min(axis=1)
    return reached[back.reshape(-1)]
