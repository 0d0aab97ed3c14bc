"""Storage formats in the most obvious way: a tile is written as a string of bits, and read back from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tile = NDArray[np.int64]
Keys = dict[str, Any]
"""Those of a design's format, and `value_bits`: the bits of an element."""


@dataclass
class Stored:
    """A tile as it is stored.

    Attributes
    ----------
    text : str
        All of its bits, of 0 and 1.
    data : int
        How many elements stand in it as data.
    """

    text: str = ""
    data: int = 0

    def add(self, number: int, bits: int) -> None:
        """Append a field of metadata."""
        assert 0 <= number < 1 << bits or number == bits == 0, "a number does not fit its field"
        self.text += format(number, f"0{bits}b") if bits else ""

    def add_value(self, value: int, keys: Keys) -> None:
        """Append an element as data."""
        self.add(value, keys["value_bits"])
        self.data += 1


@dataclass
class Stream:
    """Bits that are read from first to last."""

    text: str
    at: int = 0

    @property
    def is_at_end(self) -> bool:
        """Whether no bits are left."""
        return self.at == len(self.text)

    def take(self, bits: int) -> int:
        """Return the number in the next field."""
        assert self.at + bits <= len(self.text), "the bits end too early"
        field, self.at = self.text[self.at : self.at + bits], self.at + bits
        return int(field, 2) if bits else 0

    def take_value(self, keys: Keys, *, known: bool = False) -> int:
        """Return the next nonzero or, of one bit and where there is `known` to be one, 1."""
        return 1 if known and is_known(keys) else self.take(keys["value_bits"])


def bits_of(count: int) -> int:
    """Return the bits that tell `count` values apart."""
    return (count - 1).bit_length()


def is_known(keys: Keys) -> bool:
    """Return whether an element that is not zero can only be 1."""
    return bool(keys["value_bits"] == 1)


def rows_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the positions of the first rank, and those of all others together."""
    return shape[0], int(np.prod(shape[1:], dtype=int))


def write_none(tile: Tile, keys: Keys) -> Stored:
    stored = Stored()
    for value in tile.ravel().tolist():
        stored.add_value(value, keys)
    return stored


def read_none(stream: Stream, shape: tuple[int, ...], keys: Keys) -> Tile:
    return np.array([stream.take_value(keys) for _ in range(np.prod(shape))]).reshape(shape)


def write_bitmask(tile: Tile, keys: Keys) -> Stored:
    stored = Stored()
    for value in tile.ravel().tolist():
        stored.add(int(value != 0), 1)
    for value in tile[tile != 0].tolist() if not is_known(keys) else []:
        stored.add_value(value, keys)
    return stored


def read_bitmask(stream: Stream, shape: tuple[int, ...], keys: Keys) -> Tile:
    bits = [stream.take(1) for _ in range(np.prod(shape))]
    return np.array([stream.take_value(keys, known=True) if bit else 0 for bit in bits]).reshape(shape)


def write_coordinate(tile: Tile, keys: Keys) -> Stored:
    """Write position and value of every nonzero; where a position takes no bits, the value is needed."""
    stored, width = Stored(), bits_of(tile.size)
    for position, value in enumerate(tile.ravel().tolist()):
        if value:
            stored.add(position, width)
            if width == 0 or not is_known(keys):
                stored.add_value(value, keys)
    return stored


def read_coordinate(stream: Stream, shape: tuple[int, ...], keys: Keys) -> Tile:
    tile, width = np.zeros(shape, np.int64), bits_of(int(np.prod(shape)))
    while not stream.is_at_end:
        position = stream.take(width)
        tile.flat[position] = stream.take_value(keys, known=width > 0)
    return tile


def entries_of(row: Tile, keys: Keys) -> list[tuple[int, int]]:
    """Return how many zeros precede a value, and the value; a run too long for a field ends in a zero."""
    entries, zeros = [], 0
    for value in row.tolist():
        if value or zeros == (1 << keys["run_bits"]) - 1:
            entries.append((zeros, value))
            zeros = 0
        else:
            zeros += 1
    return entries


def write_run_length(tile: Tile, keys: Keys) -> Stored:
    stored = Stored()
    for zeros, value in entries_of(tile.ravel(), keys):
        stored.add(zeros, keys["run_bits"])
        stored.add_value(value, keys)
    return stored


def read_run_length(stream: Stream, shape: tuple[int, ...], keys: Keys) -> Tile:
    tile, position = np.zeros(shape, np.int64), 0
    while not stream.is_at_end:
        position += stream.take(keys["run_bits"])
        tile.flat[position] = stream.take_value(keys)
        position += 1
    return tile


def write_csr(tile: Tile, keys: Keys) -> Stored:
    rows, length = rows_of(tile.shape)
    stored, before = Stored(), 0
    for row in [*tile.reshape(rows, length), None]:
        stored.add(before, bits_of(tile.size + 1))
        before += 0 if row is None else np.count_nonzero(row)
    for row in tile.reshape(rows, length):
        for column in np.flatnonzero(row).tolist():
            stored.add(column, bits_of(length))
    for value in tile[tile != 0].tolist() if not is_known(keys) else []:
        stored.add_value(value, keys)
    return stored


def read_csr(stream: Stream, shape: tuple[int, ...], keys: Keys) -> Tile:
    rows, length = rows_of(shape)
    offsets = [stream.take(bits_of(rows * length + 1)) for _ in range(rows + 1)]
    columns = [stream.take(bits_of(length)) for _ in range(offsets[-1])]
    tile = np.zeros((rows, length), np.int64)
    for row in range(rows):
        for k in range(offsets[row], offsets[row + 1]):
            tile[row, columns[k]] = stream.take_value(keys, known=True)
    return tile.reshape(shape)


def write_delta(tile: Tile, keys: Keys) -> Stored:
    """Write the distances in every row, less one; what is too far for a field goes by zeros as data."""
    rows, length = rows_of(tile.shape)
    stored, entries = Stored(), [entries_of(row, keys) for row in tile.reshape(rows, length)]
    for row in range(rows + 1):
        stored.add(sum(len(one) for one in entries[:row]), bits_of(tile.size + 1))
    for one in entries:
        for zeros, _ in one:
            stored.add(zeros, keys["run_bits"])
    for one in entries:
        for _, value in one:
            stored.add_value(value, keys)
    return stored


def read_delta(stream: Stream, shape: tuple[int, ...], keys: Keys) -> Tile:
    rows, length = rows_of(shape)
    offsets = [stream.take(bits_of(rows * length + 1)) for _ in range(rows + 1)]
    distances = [stream.take(keys["run_bits"]) + 1 for _ in range(offsets[-1])]
    tile = np.zeros((rows, length), np.int64)
    for row in range(rows):
        column = -1
        for k in range(offsets[row], offsets[row + 1]):
            column += distances[k]
            tile[row, column] = stream.take_value(keys)
    return tile.reshape(shape)


def write_csb(tile: Tile, keys: Keys) -> Stored:
    stored, values, before = Stored(), tile.ravel().tolist(), 0
    for start in range(0, len(values), keys["block"]):
        stored.add(before, keys["pointer_bits"])
        for value in values[start : start + keys["block"]]:
            stored.add(int(value != 0), 1)
            before += value != 0
    for value in tile[tile != 0].tolist() if not is_known(keys) else []:
        stored.add_value(value, keys)
    return stored


def read_csb(stream: Stream, shape: tuple[int, ...], keys: Keys) -> Tile:
    size = int(np.prod(shape))
    places: list[int] = []
    for start in range(0, size, keys["block"]):
        pointer = stream.take(keys["pointer_bits"])
        for _ in range(min(keys["block"], size - start)):
            bit = stream.take(1)
            places.append(pointer if bit else -1)
            pointer += bit
    data = [stream.take_value(keys, known=True) for place in places if place >= 0]
    return np.array([data[place] if place >= 0 else 0 for place in places]).reshape(shape)


Writer = Callable[[Tile, Keys], Stored]
Reader = Callable[[Stream, tuple[int, ...], Keys], Tile]

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


def write(name: str, tile: Tile, keys: Keys) -> Stored:
    """Return a tile as a format stores it, once its bits alone have been read back to the same tile."""
    stored = TWINS[name][0](tile, keys)
    stream = Stream(stored.text)
    again = TWINS[name][1](stream, tile.shape, keys)
    assert stream.is_at_end, "bits are left over"
    assert (again == tile).all(), "the bits say something else"
    return stored
