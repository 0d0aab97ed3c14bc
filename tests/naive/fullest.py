"""How full tiles are that have to fit: by counting placements, and by looking at every one."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from fractions import Fraction

from procrustes_model import Problem


def share_of_hypergeometric(size: int, nonzeros: int, elements: int) -> dict[int, Fraction]:
    """Return the share of placements by how many of so many elements are nonzeros."""
    ways = math.comb(size, elements)
    return {
        k: Fraction(math.comb(nonzeros, k) * math.comb(size - nonzeros, elements - k), ways)
        for k in range(min(nonzeros, elements) + 1)
        if elements - k <= size - nonzeros
    }


def shares_of_groups(n: int, m: int, side: int, fibers: int, extent: int) -> dict[int, Fraction]:
    """Return the share of placements and tiles by how many nonzeros are in a tile of n:m groups.

    Rows of `side` positions begin with a group, and the last one may be cut; a tile has `extent` positions of
    `fibers` rows.
    """
    groups = -(-side // m)
    rows = [
        {group * m + position for group, chosen in enumerate(row) for position in chosen}
        for row in itertools.product(itertools.combinations(range(m), n), repeat=groups)
    ]
    total: Counter[int] = Counter()
    for start in range(0, side, extent):
        one = Counter(sum(start <= position < start + extent for position in row) for row in rows)
        tile = Counter({0: 1})
        for _ in range(fibers):
            added: Counter[int] = Counter()
            for (a, ways), (b, more) in itertools.product(tile.items(), one.items()):
                added[a + b] += ways * more
            tile = added
        total.update(tile)
    return {k: Fraction(ways, total.total()) for k, ways in total.items()}


def least_of(shares: dict[int, Fraction], share: float) -> int:
    """Return the least number that a share of all do not exceed; a share may be 1e-12 short of rounding."""
    reached = Fraction(0)
    for number in sorted(shares):
        reached += shares[number]
        if reached >= Fraction(share) * (1 - Fraction(1, 10**12) * (share < 1)):
            return number
    return max(shares)


def least_together(
    problem: Problem, extent: Mapping[str, int], sizes: Mapping[str, Callable[..., float]], share: float
) -> float:
    """Return the least size that a share of the tiles of several tensors together do not exceed.

    Tiles cover `extent`; `sizes` has, by tensor, the size of the tile that starts at a position. Every place
    of the tiles counts once.
    """
    steps = [range(0, bound, extent[d]) for d, bound in problem.dimensions.items()]
    places = [dict(zip(problem.dimensions, place, strict=True)) for place in itertools.product(*steps)]
    found = sorted(sum(size(place) for size in sizes.values()) for place in places)
    return next(size for size in found if sum(one <= size for one in found) >= share * len(found) - 1e-9)
