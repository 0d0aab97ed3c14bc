"""Tensors of a checkpoint, and the weights of layers that are put together of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from procrustes_model.printable import quote
from procrustes_model.training.stored import OTHER, Stored

Floats = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Weight:
    """The weights of one layer, not read yet.

    Attributes
    ----------
    name : str
        Of the parameter, such as "conv.weight".
    shape : tuple of int
    read : callable
        Returns the weights; 0 exactly where a layer has none.
    made_of : tuple of str
        Names of its tensors where there are several.
    doubt : str
        Why magnitudes may not be those that the layer computes with; empty where they are.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[], Floats]
    made_of: tuple[str, ...] = ()
    doubt: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A tensor that is no layer's weights.

    Attributes
    ----------
    name : str
    shape : tuple of int
    why : str
    """

    name: str
    shape: tuple[int, ...]
    why: str


class Tensors:
    """Tensors by name, of which what was joined is taken away.

    Parameters
    ----------
    tensors : iterable of (str, Stored)
    quantised : callable, optional
        Returns what is said of how weights were quantised, by files beside the checkpoint.

    Raises
    ------
    ValueError
        When two tensors share a name.
    """

    def __init__(
        self, tensors: Iterable[tuple[str, Stored]], quantised: Callable[[], Mapping[str, Any]] = dict
    ) -> None:
        self.quantised = quantised
        self.all: dict[str, Stored] = {}
        for name, tensor in tensors:
            if name in self.all:
                raise ValueError(f"two tensors share the name {quote(name)}")
            self.all[name] = tensor
        self.used: dict[str, str] = {}

    def find(self, *names: str) -> tuple[str, Stored] | None:
        """Return the first that is there, has numbers, and is not used."""
        there = (name for name in names if name in self.all and name not in self.used)
        return next(((name, self.all[name]) for name in there if self.all[name].kind != OTHER), None)

    def use(self, names: Iterable[str], why: str = "part of a weight") -> None:
        """Take tensors away, that are parts of weights or say something of them."""
        self.used.update(dict.fromkeys(names, why))
