"""Densities of a problem: what share of a tensor is not zero, and where."""

from __future__ import annotations

import math
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from procrustes_model.importers.timeloop.files import Inputs
from procrustes_model.importers.timeloop.node import Node
from procrustes_model.importers.timeloop.problem import TranslatedProblem
from procrustes_model.importers.timeloop.words import (
    DENSITIES,
    DISTRIBUTIONS,
    FIXED,
    LISTED,
    UNSAID_DISTRIBUTIONS,
)
from procrustes_model.spec.text.words import did_you_mean

Mask = NDArray[np.bool_]
_BESIDE = ("distribution", "density", "band_width", "workload_tensor_size")


def read_densities(
    inputs: Inputs,
    problem: TranslatedProblem,
    useful: set[str],
    formatted: set[str],
    masks: dict[str, Mask],
) -> dict[str, Any]:
    """Return densities by tensor, as a sparse design has them; dense tensors are left out.

    Parameters
    ----------
    inputs : Inputs
    problem : TranslatedProblem
    useful : set of str
        Tensors whose zeros save anything; what is said of others has no effect.
    formatted : set of str
        Tensors in formats by rank, which are not counted on listed nonzeros.
    masks : dict of str to bool array
        Filled in: by tensor, those that a file lists.
    """
    found: dict[str, Any] = {}
    for node in _places(inputs):
        for density in (part for _, part in node.items()):
            name = str(density.path[-1])
            if name not in problem.tensors:
                density.refuse(
                    f"a density of '{name[:60]}', which is no data space",
                    did_you_mean(name, problem.tensors),
                    key=True,
                )
            elif name not in useful:
                density.findings.drop("densities of tensors whose zeros save nothing", name)
            else:
                found[name] = _density(density, inputs.files, problem, name, masks)
                if name in masks and name in formatted:
                    density.refuse(
                        f"listed nonzeros of '{name}' in a format by rank: that cannot be counted yet",
                        "state a density",
                        key=True,
                    )
    return {name: density for name, density in found.items() if density is not None}


def drop_densities(inputs: Inputs) -> None:
    """Note that densities of a design that saves nothing at zeros have no effect."""
    for node in _places(inputs):
        node.findings.drop("densities: nothing is saved at zeros in a dense design", "densities")


def _places(inputs: Inputs) -> list[Node]:
    """Return where densities stand: in a problem, or in its instance."""
    section = inputs.one("problem")
    instance = None if section is None else section.get("instance")
    parts = [place.get(*DENSITIES) for place in (section, instance) if place is not None]
    return [part for part in parts if part is not None]


def _density(
    node: Node, files: tuple[str, ...], problem: TranslatedProblem, name: str, masks: dict[str, Mask]
) -> dict[str, Any] | None:
    """Return a density; None of a dense tensor, and with an issue where it cannot be said."""
    if not isinstance(node.data, dict):
        return _of_model(FIXED, node)
    written = node.get("distribution")
    word = FIXED if written is None else written.text().lower().replace("-", "_")
    if word in LISTED:
        return _listed(node, files, problem, name, masks)
    if word in UNSAID_DISTRIBUTIONS:
        (written or node).refuse(f"{UNSAID_DISTRIBUTIONS[word]} of '{name}': that cannot be read yet")
        return None
    if word not in DISTRIBUTIONS:
        hint = did_you_mean(word, (*DISTRIBUTIONS, *LISTED, *UNSAID_DISTRIBUTIONS))
        (written or node).refuse(f"unknown distribution '{word[:60]}'", hint)
        return None
    for key, part in node.items():
        if key not in _BESIDE:
            part.refuse(f"'{part.path[-1]}' of a density cannot be said here", key=True)
    size = node.get("workload_tensor_size")
    if size is not None and size.data and DISTRIBUTIONS[word] != DISTRIBUTIONS[FIXED]:
        size.refuse(f"a size of '{name}' beside its own: that cannot be said", key=True)
    share = node.get("density")
    if share is None:
        node.refuse(f"the density of '{name}' has no number", "such as 'density: 0.5'", key=True)
        return None
    return _of_model(word, share)


def _of_model(word: str, share: Node) -> dict[str, Any] | None:
    value = share.number()
    if value is None:
        return None
    if not 0 <= value <= 1:
        share.refuse(f"a density is from 0 to 1, this is {value}")
        return None
    return None if value == 1 else {"model": DISTRIBUTIONS[word], "density": float(value)}


def _listed(
    node: Node, files: tuple[str, ...], problem: TranslatedProblem, name: str, masks: dict[str, Mask]
) -> dict[str, Any] | None:
    """Read a mask that a file lists, a digit an element, of which those of the first rank lie side by side.

    The file is looked for where the text says, and by its name beside and below the files that were given.
    """
    written = node.get("data_file_path")
    if written is None:
        node.refuse(
            f"the density of '{name}' names no file", "such as 'data_file_path: nonzeros.txt'", key=True
        )
        return None
    said = Path(written.text())
    around = dict.fromkeys(Path(file).parent for file in files)
    found = [path for path in (said, *(one / said for one in around)) if path.is_file()]
    found += [path for one in around for path in sorted(one.rglob(escape(said.name))) if path.is_file()]
    if not found:
        written.refuse(f"there is no file '{said.name}' with the nonzeros of '{name}'", "beside the others")
        return None
    shape = problem.shape_of(name)
    if found[0].stat().st_size > 4 * math.prod(shape) + 4096:
        written.refuse(f"'{said.name}' is larger than {name}, of {math.prod(shape)} elements")
        return None
    bits = np.frombuffer(b"".join(found[0].read_bytes().split()), np.uint8) - ord("0")
    if bits.size != math.prod(shape) or bits.max(initial=0) > 1:
        written.refuse(
            f"'{said.name}' does not list {name}: {bits.size} digits for {math.prod(shape)} elements",
            "0 for a zero and 1 for any other",
        )
        return None
    masks[name] = bits.reshape(shape[::-1]).T.astype(np.bool_)
    return {"model": "mask", "mask": f"{name}.npy"}
