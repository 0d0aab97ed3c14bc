"""How many nonzeros tiles have, by counting placements: shares as fractions."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction


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
