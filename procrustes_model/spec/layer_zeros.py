"""Zeros that a layer of a network states itself: those of a given operand, such as a graph's adjacency."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from procrustes_model.spec.density import Density
from procrustes_model.spec.schema import Name, build
from procrustes_model.spec.sparsity_reader import read_density
from procrustes_model.spec.text.document import Document
from procrustes_model.spec.text.words import PAIRS, did_you_mean, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.spec.widths import ROLE_TENSORS

LayerZeros = tuple[tuple[Name, Density], ...]
"""Tensors, called as results call them, each with its density."""

_EXAMPLE = "such as {Weights: 0.1} or {Weights: {model: mask, mask: adjacency.npz}}"


def read_layer_zeros(
    written: Any, path: Path, document: Document, tensors: Iterable[str] = ROLE_TENSORS
) -> LayerZeros:
    """Return the densities that stand at a path of a document, none where there is an issue.

    Parameters
    ----------
    written : Any
    path : tuple
        Where it stands.
    document : Document
        Gets every issue.
    tensors : iterable of str
        The tensors that may be named.
    """
    known, found = tuple(tensors), []
    if not isinstance(written, dict) or not written:
        document.complain(path, f"'{path[-1]}' must be {PAIRS}, is {shorten(written)}", _EXAMPLE)
        return ()
    for name, value in written.items():
        place = (*path, name)
        if name not in known:
            hint = did_you_mean(str(name), known) or f"one of {', '.join(known)}"
            document.complain(place, f"no tensor '{str(name)[:60]}' for 'densities'", hint, key=True)
            continue
        density = build(Density, read_density(value, place, document), document, place)
        if density is not None:
            found.append((name, density))
    return tuple(found)


def write_layer_zeros(zeros: LayerZeros) -> dict[str, Any]:
    """Return densities as `read_layer_zeros` reads them back."""
    return {name: density.model_dump(mode="json", exclude_none=True) for name, density in zeros}
