"""Storage formats in the most obvious way: a tile is written as data and fields of bits, and read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tile = NDArray[np.int64]
Keys = dict[str, Any]


@dataclass
class Stored:
    """A tile as it is stored.

    Attributes
    ----------
    data : list of int
        Values of elements.
    fields : list of (int, int)
        Metadata: a number, and the bits it takes.
    """

    data: list[int] = field(default_factory=list)
    fields: list[tuple[int, int]] = field(default_factory=list)

    def add(self, number: int, bits: int) -> None:
        """Append a field of metadata."""
        assert 0 <= number < 1 << bits or number == bits == 0, "a number does not fit its field"
        self.fields.append((number, bits))

    @property
    def bits(self) -> int:
        """Bits of metadata."""
        return sum(bits for _, bits in self.fields)


def bits_of(count: int) -> int:
    """Return the bits that tell `count` values apart."""
    return (count - 1).bit_length()


def write_none(tile: Tile, _: Keys) -> Stored:
    return Stored(data=tile.ravel().tolist())


def read_none(stored: Stored, shape: tuple[int, ...], _: Keys) -> Tile:
    return np.array(stored.data).reshape(shape)


def write_bitmask(tile: Tile, _: Keys) -> Stored:
    stored = Stored()
    for value in tile.ravel().tolist():
        stored.add(int(value != 0), 1)
        stored.data += [value] if value else []
    return stored


def read_bitmask(stored: Stored, shape: tuple[int, ...], _: Keys) -> Tile:
    values = iter(stored.data)
    return np.array([next(values) if bit else 0 for bit, _ in stored.fields]).reshape(shape)


def write_coordinate(tile: Tile, _: Keys) -> Stored:
    stored = Stored()
    for position, value in enumerate(tile.ravel().tolist()):
        if value:
            stored.add(position, bits_of(tile.size))
            stored.data.append(value)
    return stored


def read_coordinate(stored: Stored, shape: tuple[int, ...], _: Keys) -> Tile:
    tile = np.zeros(shape, np.int64)
    for (position, _bits), value in zip(stored.fields, stored.data, strict=True):
        tile.flat[position] = value
    return tile


def write_run_length(tile: Tile, keys: Keys) -> Stored:
    """Write the zeros before every value; a run longer than its field can say ends in a zero as data."""
    stored, zeros = Stored(), 0
    for value in tile.ravel().tolist():
        if value or zeros == (1 << keys["run_bits"]) - 1:
            stored.add(zeros, keys["run_bits"])
            stored.data.append(value)
            zeros = 0
        else:
            zeros += 1
    return stored


def read_run_length(stored: Stored, shape: tuple[int, ...], _: Keys) -> Tile:
    tile, position = np.zeros(shape, np.int64), 0
    for (zeros, _bits), value in zip(stored.fields, stored.data, strict=True):
        position += zeros
        tile.flat[position] = value
        position += 1
    return tile


def write_csr(tile: Tile, _: Keys) -> Stored:
    rows = tile.reshape(tile.shape[0], -1)
    stored, columns = Stored(), []
    for row in rows:
        stored.add(len(stored.data), bits_of(tile.size + 1))
        stored.data += row[row != 0].tolist()
        columns += np.flatnonzero(row).tolist()
    stored.add(len(stored.data), bits_of(tile.size + 1))
    for column in columns:
        stored.add(column, bits_of(rows.shape[1]))
    return stored


def read_csr(stored: Stored, shape: tuple[int, ...], _: Keys) -> Tile:
    tile = np.zeros((shape[0], int(np.prod(shape[1:], dtype=int))), np.int64)
    offsets = [number for number, _ in stored.fields[: shape[0] + 1]]
    columns = [number for number, _ in stored.fields[shape[0] + 1 :]]
    for row in range(shape[0]):
        for k in range(offsets[row], offsets[row + 1]):
            tile[row, columns[k]] = stored.data[k]
    return tile.reshape(shape)


def write_delta(tile: Tile, keys: Keys) -> Stored:
    """Write the distances in every row; what is too far for a field goes by zeros as data."""
    stored, distances, farthest = Stored(), [], 1 << keys["run_bits"]
    for row in tile.reshape(tile.shape[0], -1):
        stored.add(len(stored.data), bits_of(tile.size + 1))
        last = -1
        for column in [*np.flatnonzero(row).tolist(), row.size]:
            while column - last > farthest:
                last += farthest
                distances.append(farthest)
                stored.data.append(0)
            if column < row.size:
                distances.append(column - last)
                stored.data.append(int(row[column]))
                last = column
    stored.add(len(stored.data), bits_of(tile.size + 1))
    for distance in distances:
        stored.add(distance - 1, keys["run_bits"])
    return stored


def read_delta(stored: Stored, shape: tuple[int, ...], _: Keys) -> Tile:
    tile = np.zeros((shape[0], int(np.prod(shape[1:], dtype=int))), np.int64)
    offsets = [number for number, _ in stored.fields[: shape[0] + 1]]
    distances = [number + 1 for number, _ in stored.fields[shape[0] + 1 :]]
    for row in range(shape[0]):
        column = -1
        for k in range(offsets[row], offsets[row + 1]):
            column += distances[k]
            tile[row, column] = stored.data[k]
    return tile.reshape(shape)


def write_csb(tile: Tile, keys: Keys) -> Stored:
    stored, values = Stored(), tile.ravel().tolist()
    for start in range(0, len(values), keys["block"]):
        stored.add(len(stored.data), keys["pointer_bits"])
        for value in values[start : start + keys["block"]]:
            stored.add(int(value != 0), 1)
            stored.data += [value] if value else []
    return stored


def read_csb(stored: Stored, shape: tuple[int, ...], keys: Keys) -> Tile:
    values: list[int] = []
    fields = [number for number, _ in stored.fields]
    for start in range(0, len(fields), keys["block"] + 1):
        pointer, *bits = fields[start : start + keys["block"] + 1]
        for bit in bits:
            values.append(stored.data[pointer] if bit else 0)
            pointer += bit
    return np.array(values).reshape(shape)


Writer = Callable[[Tile, Keys], Stored]
Reader = Callable[[Stored, tuple[int, ...], Keys], Tile]

TWINS: dict[str, tuple[Writer, Reader]] = {
    "none": (write_none, read_none),
    "bitmask": (write_bitmask, read_bitmask),
    "coordinate": (write_coordinate, read_coordinate),
    "run_length": (write_run_length, read_run_length),
    "csr": (write_csr, read_csr),
    "delta": (write_delta, read_delta),
    "csb": (write_csb, read_csb),
}
"""By name of the format."""
