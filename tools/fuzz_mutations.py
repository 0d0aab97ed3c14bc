"""Small damages to the content of files: what users mistype, and what they would not."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import yaml

Path = tuple[str | int, ...]

WEIRD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2.5, -0.0, math.nan, math.inf, -math.inf, 1e308, 10**30, 2**31, 2**62, 2**63,
    "", " ", "x", "5", "1e400", "0o17", "12:30:45", "2001-01-01", "nan", "~", "=1+1", "../..", "a/b", "K=0 K",
    "\x1b[31mred", "a\nb", "\x00", "\u202egnp", "[red]", "é", "日本語", "\U0001f600", "x" * 3000, "1 +",
    "(" * 99, "\ud800",
    [], {}, [None], [[]], [1, 1], {"a": 1}, {"": None}, {"kind": "conv"}, [{"name": "x"}],
)  # fmt: skip
"""Values that stand where others belong."""


class Mutation(NamedTuple):
    """A damage.

    Attributes
    ----------
    what : str
        In words, for the report.
    name : bool
        Whether all it did was to misspell a key or a word, or to add a key: that must not go unnoticed.
    """

    what: str
    name: bool = False


class _Spot(NamedTuple):
    """A place in nested data: a container, and the key or index of a value in it."""

    container: Any
    key: str | int
    path: Path


def _spots(data: Any, path: Path = ()) -> Iterator[_Spot]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(data, dict):
        items = list(data.items())
    elif isinstance(data, list):
        items = list(enumerate(data))
    for key, value in items:
        yield _Spot(data, key, (*path, key))
        yield from _spots(value, (*path, key))


def misspell(word: str, rng: random.Random) -> str:
    """Return a word with one slip: a letter left out, doubled, swapped, replaced, or of the other case."""
    at = rng.randrange(max(1, len(word)))
    slips = [
        word[:at] + word[at + 1 :],
        word[:at] + word[at : at + 1] + word[at:],
        word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :],
        word[:at] + rng.choice("aeioxyz_ -é") + word[at + 1 :],
        word.swapcase(),
        word + "s",
    ]
    return rng.choice([slip for slip in slips if slip != word] or [word + "x"])


def _rename(spot: _Spot, rng: random.Random) -> Mutation | None:
    if not isinstance(spot.container, dict):
        return None
    old = str(spot.key)
    new = misspell(old, rng)
    if new in spot.container:
        return None
    items = [(new if key == spot.key else key, value) for key, value in spot.container.items()]
    spot.container.clear()
    spot.container.update(items)
    return Mutation(f"key {shown(spot.path)} becomes {new!r}", name=True)


def _add(spot: _Spot, rng: random.Random) -> Mutation | None:
    if not isinstance(spot.container, dict):
        return None
    key = rng.choice(["colour", "energy", "note", "kind2", "x", "levels_", "\x1b[31m"])
    if key in spot.container:
        return None
    spot.container[key] = copy.deepcopy(rng.choice(WEIRD))
    return Mutation(f"key {key!r} beside {shown(spot.path)}", name=True)


def _replace(spot: _Spot, rng: random.Random) -> Mutation:
    value = copy.deepcopy(rng.choice(WEIRD))
    spot.container[spot.key] = value
    return Mutation(f"{shown(spot.path)} becomes {value!r:.40}")


def _delete(spot: _Spot, _: random.Random) -> Mutation:
    del spot.container[spot.key]
    return Mutation(f"{shown(spot.path)} is deleted")


def _duplicate(spot: _Spot, _: random.Random) -> Mutation | None:
    if not isinstance(spot.container, list) or not isinstance(spot.key, int):
        return None
    spot.container.insert(spot.key, copy.deepcopy(spot.container[spot.key]))
    return Mutation(f"{shown(spot.path)} stands twice")


def _nest(spot: _Spot, rng: random.Random) -> Mutation:
    value = spot.container[spot.key]
    depth = rng.choice([1, 1, 2, 40])
    for _ in range(depth):
        value = [value] if rng.random() < 0.5 else {"x": value}
    spot.container[spot.key] = value
    return Mutation(f"{shown(spot.path)} is nested {depth} times")


def _change(spot: _Spot, rng: random.Random) -> Mutation | None:
    """Take a number off its range, or misspell a word of a text."""
    value = spot.container[spot.key]
    if isinstance(value, bool):
        spot.container[spot.key] = not value
    elif isinstance(value, int | float):
        spot.container[spot.key] = rng.choice(
            [-value, value * 10**12, value + 0.5, value * 2, value - 1, 0, 10**40]
        )
    elif isinstance(value, str):
        spot.container[spot.key] = new = misspell(value, rng)
        words = "".join(value.split()) != "".join(new.split()) and spot.key not in _PROSE
        return Mutation(f"{shown(spot.path)}, {value!r:.40}, becomes {new!r:.40}", name=words)
    else:
        return None
    return Mutation(f"{shown(spot.path)} becomes {spot.container[spot.key]!r:.40}")


def _swap(spot: _Spot, rng: random.Random) -> Mutation | None:
    keys = list(spot.container) if isinstance(spot.container, dict) else list(range(len(spot.container)))
    other = rng.choice(keys)
    if other == spot.key:
        return None
    container = spot.container
    container[spot.key], container[other] = container[other], container[spot.key]
    return Mutation(f"{shown(spot.path)} changes places with {other!r}")


_Damage = Callable[[_Spot, random.Random], Mutation | None]
_DAMAGES: tuple[_Damage, ...] = (
    _rename, _rename, _add, _add, _replace, _replace, _replace, _delete, _duplicate, _nest, _change, _change,
    _swap,
)  # fmt: skip
_PASSES = 50
_PROSE = ("name", "description", "source")
"""Keys of texts for readers, some of which go nowhere."""
_PIECES = (b"\x00", b"\xff", b"\x1b[31m", b"\t", b"'", b"{", b"&a ", b"!!x ", b"\r", "\u2028é".encode())


def shown(path: Path) -> str:
    """Return a path as one line."""
    return ".".join(map(str, path))


def mutate_data(data: Any, rng: random.Random) -> tuple[Any, Mutation]:
    """Return nested data with one damage."""
    for _ in range(_PASSES):
        damaged = copy.deepcopy(data)
        spots = list(_spots(damaged))
        found = rng.choice(_DAMAGES)(rng.choice(spots), rng) if spots else None
        if found is not None:
            return damaged, found
    return data, Mutation("nothing")


def mutate_text(text: str, rng: random.Random) -> tuple[bytes, Mutation]:
    """Return text with one damage that ignores what it says."""
    lines = text.splitlines(keepends=True)
    way = rng.randrange(6)
    if way == 0 and lines:
        at = rng.randrange(len(lines))
        return "".join([*lines[: at + 1], *lines[at:]]).encode(), Mutation(f"line {at + 1} stands twice")
    if way == 1 and lines:
        at = rng.randrange(len(lines))
        moved = " " * rng.randrange(1, 5) + lines[at] if rng.random() < 0.5 else lines[at].lstrip()
        return "".join([*lines[:at], moved, *lines[at + 1 :]]).encode(), Mutation(f"line {at + 1} is moved")
    return mutate_bytes(text.encode(), rng)


def mutate_bytes(content: bytes, rng: random.Random) -> tuple[bytes, Mutation]:
    """Return bytes with one damage: cut, flipped, overwritten, or with others put in between."""
    at = rng.randrange(max(1, len(content)))
    way = rng.randrange(5)
    if way == 0:
        return content[:at], Mutation(f"cut to {at} bytes")
    changed = bytearray(content)
    if way == 1:
        for _ in range(rng.choice([1, 1, 4, 30])):
            if changed:
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed), Mutation("bits are flipped")
    if way == 2:
        length = rng.choice([1, 4, 64])
        changed[at : at + length] = rng.randbytes(length)
        return bytes(changed), Mutation(f"{length} random bytes at {at}")
    if way == 3:
        piece = rng.choice(_PIECES)
        changed[at:at] = piece
        return bytes(changed), Mutation(f"{piece!r} at {at}")
    length = rng.choice([1, 8, 100])
    changed[at : at + length] = b"\xff" * length if rng.random() < 0.5 else bytes(length)
    return bytes(changed), Mutation(f"{length} bytes at {at} become all ones or zeros")


def to_yaml(data: Any) -> bytes:
    """Return data as YAML without aliases, half characters as escapes."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    text: str = yaml.dump(data, Dumper=Plain, sort_keys=False, allow_unicode=True, width=1000)
    return text.encode("utf-8", "surrogatepass")
