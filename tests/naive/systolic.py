"""A weight-stationary systolic array, cycle by cycle: operands enter left, sums leave below."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass
class Array:
    """Processing elements with a weight, an operand on its way right and a sum on its way down."""

    rows: int
    columns: int
    weight: Ints = field(init=False)
    operand: list[list[tuple[int, int] | None]] = field(init=False)
    total: list[list[tuple[int, int] | None]] = field(init=False)

    def __post_init__(self) -> None:
        """Begin empty."""
        self.weight = np.zeros((self.rows, self.columns), np.int64)
        self._clear()

    def _clear(self) -> None:
        self.operand = [[None] * self.columns for _ in range(self.rows)]
        self.total = [[None] * self.columns for _ in range(self.rows)]

    def load(self, weights: Ints) -> int:
        """Shift weights in from the top, a row per cycle; return the cycles."""
        for cycle in range(self.rows):
            self.weight[1:] = self.weight[:-1].copy()
            self.weight[0] = weights[self.rows - 1 - cycle]
        return self.rows

    def stream(self, operands: Ints) -> tuple[Ints, int]:
        """Stream operands, int64[T, rows], through; return sums, int64[T, columns], and the cycles."""
        self._clear()
        found = np.zeros((len(operands), self.columns), np.int64)
        missing, cycle = found.size, 0
        while missing:
            for r in range(self.rows - 1, -1, -1):
                for c in range(self.columns - 1, -1, -1):
                    step = cycle - r
                    entering = (step, int(operands[step, r])) if 0 <= step < len(operands) else None
                    arrived = self.operand[r][c - 1] if c else entering
                    above = self.total[r - 1][c] if r else None
                    self.operand[r][c] = arrived
                    self.total[r][c] = None
                    if arrived is not None:
                        number, value = arrived
                        assert above is None or above[0] == number
                        done = (above[1] if above else 0) + value * int(self.weight[r, c])
                        self.total[r][c] = (number, done)
            cycle += 1
            for c in range(self.columns):
                leaving = self.total[self.rows - 1][c]
                if leaving is not None:
                    found[leaving[0], c] = leaving[1]
                    missing -= 1
        return found, cycle


def multiply(weights: Ints, operands: Ints, rows: int, columns: int) -> tuple[Ints, int]:
    """Multiply operands, int64[T, K], by weights, int64[K, M], tile by tile; return product and cycles."""
    array, cycles = Array(rows, columns), 0
    product = np.zeros((len(operands), weights.shape[1]), np.int64)
    for k in range(0, weights.shape[0], rows):
        for m in range(0, weights.shape[1], columns):
            cycles += array.load(weights[k : k + rows, m : m + columns])
            sums, taken = array.stream(operands[:, k : k + rows])
            product[:, m : m + columns] += sums
            cycles += taken
    return product, cycles
