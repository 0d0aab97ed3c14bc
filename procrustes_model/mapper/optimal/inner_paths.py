"""What many ways to spread loops have in common: the levels inside a network.

Ways that spread alike further in, and the same of what slides, differ there only in how many instances share
a tile, in the room that rounding leaves, and in what first accumulations spare. One path of all of them, with
the best of each, is a bound: it is followed up to that network, and what lies behind it costs each way at
least what filling the levels outside does. Mostly few ways remain of which a path of their own is looked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from procrustes_model.kernels.dense.arrays import FILL, READ, UPDATE, Floats, Ints
from procrustes_model.kernels.search.arrays import SIMPLE, Goal, Model
from procrustes_model.kernels.search.path import CROWDED, find_path
from procrustes_model.kernels.search.path_arrays import Road, Ways
from procrustes_model.kernels.search.path_exits import limit_energies, list_exits
from procrustes_model.kernels.search.path_links import bound_computing
from procrustes_model.kernels.search.path_wires import share_wires
from procrustes_model.mapper.space import Space

FEW = 8
"""Ways of a group below which each has a path of its own at once."""

CREDIT, A_PATH = 50_000, 300
"""Nodes that paths of several ways may take before they pay; what each way that they exclude would."""

AT_ONCE = 1_000_000
"""Exits, times ways, that are looked at at a time."""

_ALIKE = 1e-9
"""Relative rounding of shares that are the same."""


def choose_network(space: Space, ways: Ways, parent: Ints) -> int:
    """Return the level below which a network is that ways to spread have the levels inside of in common.

    It is the innermost one with two levels inside, but outside of where tensors that slide are kept last: how
    many of their tiles serve the compute units follows from all that is spread there.

    Parameters
    ----------
    space : Space
    ways : Ways
    parent : int64[L + 1, T]
        As in `Road`.

    Returns
    -------
    int
        -1 where there is none, or accesses are not rounded one by one: where instances share a port, or sums
        are read on their way up.
    """
    machine, model = space.model.machine, space.model
    instances = np.concatenate(([1], np.cumprod(space.mesh[:-1])))
    networks = np.flatnonzero(ways.spread[:, : space.levels - 2].any(axis=0))
    if not len(networks) or (machine.ports < instances).any() or machine.drains.any():
        return -1
    last = parent[-1, model.kind != SIMPLE].min(initial=space.levels)
    return int(max(networks[networks < last], default=networks[-1]))


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
    of : int64[S]
        The group of a way.
    sliding : int64[S, n]
        What a way spreads over dimensions that slide, as a point, by network from the outermost to this one.
    share : float64[S, n]
        Instances that a network reaches with that alone, over those that it reaches.
    tiles, most_tiles : float64[S, n, T]
        Different tiles below an instance of a level, in all networks up to this one, at least and at most,
        times `share`.
    model : Model
        That rounds accesses where it has to know networks, or wide sums.
    credit : int
        Nodes that paths of several ways may still take, unless they pay.
    """

    space: Space
    ways: Ways
    volume: Floats
    network: int
    of: Ints = field(init=False)
    sliding: Ints = field(init=False)
    share: Floats = field(init=False)
    tiles: Floats = field(init=False)
    most_tiles: Floats = field(init=False)
    model: Model = field(init=False)
    credit: int = field(default=CREDIT, init=False)
    _ready: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        spread, lattice, model = self.ways.spread, self.space.lattice, self.space.model
        ranks = model.coefficient != 0
        pairs = (ranks & (model.bounds > 1)).sum(axis=2) > 1
        slides = (ranks & pairs[:, :, None]).any(axis=(0, 1))
        inside = self.network + 1
        self.sliding = lattice.indices[spread[:, :inside]][:, :, slides] @ lattice.stride[slides]
        key = np.column_stack((spread[:, inside:], self.sliding))
        self.of = np.unique(key, axis=0, return_inverse=True)[1].reshape(-1)
        self.share = self.volume[self.sliding] / self.volume[spread[:, :inside]]
        self.tiles = self._below(self.ways.least)
        self.most_tiles = self._below(self.ways.most)
        beside = model.machine.wires.any or model.machine.sums.output >= 0
        self.model = model._replace(whole=model.whole and beside)

    def _below(self, tiles: Floats) -> Floats:
        """Return `tiles` or `most_tiles` from those of each network, float64[S, L, T]."""
        each: Floats = tiles[:, : self.network + 1] * self.share[:, :, None]
        return np.asarray(np.cumprod(each[:, ::-1], axis=1)[:, ::-1])

    def compile(self, road: Road, goal: Goal) -> None:
        """Compile what bounding ways together takes, but for paths, while time does not count."""
        if not self._ready:
            none, nothing = np.empty(0, np.int64), np.empty(0)
            with self.space.deadline.suspended():
                list_exits(self.model, road, 0, 0, none, none, nothing)
                limit_energies(goal, nothing, nothing)
                if self.model.whole and self.model.machine.wires.any:
                    wires, wired = np.zeros_like(road.wires), np.zeros_like(road.links.wired)
                    share_wires(self.model, road, none, road.ways.units[0], wires, wired, nothing)
            self._ready = True

    def members(self, group: int) -> Ints:
        """Return the ways of a group."""
        return np.flatnonzero(self.of == group)

    def split(self, chosen: Ints) -> list[Ints]:
        """Split some ways into those in which a tensor has more and fewer tiles; none where all are alike."""
        if len(chosen) < FEW:
            return []
        tiles = self.tiles[chosen].reshape(len(chosen), -1)
        lowest, highest = tiles.min(axis=0), tiles.max(axis=0)
        t = int(np.argmax(highest / lowest))
        if highest[t] <= lowest[t] * (1 + _ALIKE):
            return []
        few = tiles[:, t] <= math.sqrt(lowest[t] * highest[t])
        return [chosen[~few], chosen[few]]

    def common_way(self, chosen: Ints) -> Ways:
        """Return a way that costs no more than any of some of a group up to the network.

        Outside it spreads nothing but what slides, and its tiles are told apart in as few as in any of them.
        """
        ways, inside, simple = self.ways, self.network + 1, self.space.model.kind == SIMPLE
        one = slice(int(chosen[0]), int(chosen[0]) + 1)
        spread, units = ways.spread[one].copy(), ways.units[one].copy()
        spread[:, :inside] = self.sliding[one]
        units[0, 1 : inside + 1] *= np.cumprod(self.share[one][0])
        units[0, inside + 1 :] *= self.share[one].prod()
        least, most = ways.least[one].copy(), ways.most[one].copy()
        for common, tiles in (
            (least, self.tiles[chosen].min(axis=0)),
            (most, self.most_tiles[chosen].max(axis=0)),
        ):
            common[0, :inside] = tiles
            common[0, : inside - 1] /= tiles[1:]
        most[0, :inside, simple] = least[0, :inside, simple]  # of these nothing is spared
        fresh = (ways.fresh[chosen] * ways.units[chosen, :-1]).max(axis=0)[None] / units[:, :-1]
        return Ways(spread, ways.steps[one], units, fresh, least, most)


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
    raised, parts = False, [members]
    while parts and groups.credit >= 0:
        chosen = parts.pop()
        chosen = chosen[np.isfinite(limits[chosen]) & (least[chosen] <= limits[chosen])]
        if len(chosen) < FEW:
            continue
        bounds = bound_together(groups, road, chosen, computing[chosen], limits[chosen])
        excluded = 0 if bounds is None else int(np.isinf(bounds).sum())
        groups.credit += A_PATH * (excluded - 1) - int(road.trails.edges[1])
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
    apart = way.least[0, network] < way.most[0, network]
    if (apart & sliding & (road.parent[-1] <= network)).any():
        return None  # how many tiles serve the compute units follows from all that is spread
    fits, loops = road.fits.copy(), road.terrain.loops.copy()
    fits[network], loops[: network + 1] = False, False
    terrain = road.terrain._replace(loops=loops)
    inner = _share_networks(groups, road, chosen, way)._replace(fits=fits, terrain=terrain)
    model, slack = groups.model, _rounding(groups, road, way) if groups.model.whole else 0.0
    common = np.empty(1)
    bound_computing(model, inner, common)
    more = computing - (common[0] + model.base) - slack - _rounding_apart(groups, road, chosen)
    limit = float((limits - more).max())
    if find_path(model, inner, 0, limit)[1] == CROWDED:
        return None
    count = int(road.trails.edges[1])
    points, states, least = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count)
    found = list_exits(model, inner, network, count, points, states, least)
    outside = road.ways.spread[chosen, : network + 1]
    beyond = (
        np.column_stack((outside[:, network], outside.sum(axis=1))) - groups.sliding[chosen, network, None]
    )
    bounds: Floats = _go_on(road, network, points[:found], least[:found], beyond) + more
    bounds[bounds > limits] = math.inf
    return bounds


def _share_networks(groups: Groups, road: Road, chosen: Ints, way: Ways) -> Road:
    """Return a road of one way that stands for some, with what networks take of all of them at least."""
    levels, tensors = road.keep.shape
    wires, wired, later = np.zeros((levels + 1, tensors, 3)), np.zeros((levels, tensors)), np.zeros(levels)
    if groups.model.whole and groups.model.machine.wires.any:
        share_wires(groups.model, road, chosen, way.units[0], wires, wired, later)
    links = road.links._replace(later=later, wired=wired, share=np.zeros((levels, tensors)))
    return road._replace(ways=way, links=links, wires=wires, together=True)


def _rounding(groups: Groups, road: Road, way: Ways) -> float:
    """Return the energy by which rounding may make one way that stands for several dearer than any of them.

    Each number of accesses is rounded up once, and again where a window slides on: twice in a level at most.
    """
    model, levels = groups.model, groups.space.levels
    price, units, total = _most_dear(model), way.units[0], 0.0
    for level in range(groups.network + 1, levels + 1):
        kept = road.keep[level] if level < levels else np.ones(len(model.kind), np.bool_)
        for t in np.flatnonzero(kept).tolist():
            parent = int(road.parent[level, t])
            times = 1 if model.kind[t] == SIMPLE and level < levels else 1 + 2 * levels
            if level < levels:
                total += times * units[level] * price[level, t, FILL]
            if parent >= 0:
                total += times * units[parent] * (price[parent, t, READ] + price[parent, t, UPDATE])
    return float(total)


def _most_dear(model: Model) -> Floats:
    """Return the most that an access takes, float64[L, T, 3]."""
    price, machine, output = model.energy.copy(), model.machine, model.machine.sums.output
    if output >= 0:
        wide = machine.price[:, output, : UPDATE + 1] * machine.sums.split[:, None]
        price[:, output] = np.maximum(price[:, output], wide)
    return price


def _rounding_apart(groups: Groups, road: Road, chosen: Ints) -> Floats:
    """Return by how much the accesses that serve the compute units are rounded up, float64[n].

    Where tiles that slide are told apart in networks further in, their number is known on the way only.
    """
    model, ways, one = groups.model, road.ways, int(chosen[0])
    price, rounded = _most_dear(model), np.zeros(len(chosen))
    for t in np.flatnonzero(model.kind != SIMPLE).tolist():
        parent = int(road.parent[-1, t])
        inside = slice(max(parent, groups.network + 1), None)
        if (ways.least[one, inside, t] < ways.most[one, inside, t]).any():
            rounded += ways.units[chosen, parent] * (price[parent, t, READ] + price[parent, t, UPDATE])
    return rounded


def _go_on(road: Road, network: int, points: Ints, least: Floats, beyond: Ints) -> Floats:
    """Return the least of what ways cost behind exits, float64[n]; infinite where none leads on.

    Parameters
    ----------
    road : Road
    network : int
    points : int64[N]
        Of exits.
    least : float64[N]
        What they have cost.
    beyond : int64[n, 2]
        What ways spread there, and there and further out, that exits do not hold; as points.
    """
    bounds = np.full(len(beyond), math.inf)
    if not len(points):
        return bounds
    order = np.lexsort((least, points))
    first = np.concatenate(([True], np.diff(points[order]) > 0))
    points, least = points[order][first], least[order][first]
    exponents, togo, last = road.lattice.exponents, road.togo[network], len(road.lattice.value) - 1
    size = max(1, AT_ONCE // len(points))
    for begin in range(0, len(beyond), size):
        here, all_of_it = beyond[begin : begin + size].T
        leads = np.ones((len(here), len(points)), np.bool_)
        for axis in range(exponents.shape[1]):
            leads &= exponents[all_of_it, axis][:, None] + exponents[points, axis] <= exponents[-1, axis]
        after = np.where(leads, here[:, None] + points, last)
        bounds[begin : begin + size] = np.where(leads, least + togo[after], math.inf).min(axis=1)
    return bounds
