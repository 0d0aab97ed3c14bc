"""A shape: the dimensions, tensors and projections that many problems share, without bounds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from procrustes_model.spec.text.document import Document, missing_key, open_document, unknown_key
from procrustes_model.spec.text.expressions import Expression, ExpressionError, parse
from procrustes_model.spec.text.words import (
    IDENTIFIER_RULE,
    PAIRS,
    did_you_mean,
    is_identifier,
    is_name,
    shorten,
)
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.vocabulary import PHASES, Phase, Role

_KEYS = ["name", "phase", "description", "dimensions", "coefficients", "tensors"]
_TENSORS = "such as {Weights: {projection: [K, C]}, ...}"
_TENSOR_KEYS = ["projection", "output", "role"]


@dataclass(frozen=True)
class Projection:
    """One rank's index as written, and the place it is written at."""

    expression: Expression
    path: Path


@dataclass(frozen=True)
class ShapeTensor:
    """One operand of a shape.

    Attributes
    ----------
    name : str
    projections : tuple of Projection
        One per rank.
    is_output : bool
    role : Role or None
        As stated; see `Problem.roles` for shapes that state none.
    """

    name: str
    projections: tuple[Projection, ...]
    is_output: bool
    role: Role | None = None


@dataclass(frozen=True)
class Shape:
    """The form of a problem.

    Attributes
    ----------
    name : str
    phase : Phase or None
    dimensions : tuple of str
    coefficients : dict of str to int
        Defaults for the constants in projections.
    tensors : tuple of ShapeTensor
    document : Document
        Where it was read from; issues with its projections belong there.
    """

    name: str
    phase: Phase | None
    dimensions: tuple[str, ...]
    coefficients: dict[str, int]
    tensors: tuple[ShapeTensor, ...]
    document: Document


def load_shape(source: str | os.PathLike[str] | Mapping[str, Any]) -> Shape:
    """Return the shape that a file, a name or a dict describes.

    Parameters
    ----------
    source : path, str or mapping
        A YAML file, the name of a shipped shape, or the parsed content.

    Returns
    -------
    Shape

    Raises
    ------
    SpecError
        With every issue found.
    """
    document = open_document(source, "shape")
    shape = read_shape(document.section("shape"), ("shape",), document)
    document.raise_issues()
    return shape


def read_shape(content: dict[str, Any], path: Path, document: Document) -> Shape:
    """Return the shape that stands at `path` of a document, as far as it is right.

    Parameters
    ----------
    content : dict
        The mapping there.
    path : tuple
        Where it stands.
    document : Document
        Gets the issues.

    Returns
    -------
    Shape
    """
    for key in content:
        if key not in _KEYS:
            unknown_key(document, (*path, key), _KEYS)
    name = content.get("name", "custom")
    if not isinstance(name, str) or not is_name(name):
        document.complain((*path, "name"), f"'name' must be text, is {shorten(name)}")
        name = "custom"
    written = content.get("phase")
    phase = Phase(written) if written in PHASES else None
    if written is not None and phase is None:
        hint = did_you_mean(str(written), PHASES)
        document.complain((*path, "phase"), f"unknown phase {shorten(written)}", hint)
    check_description(content, path, document)
    dimensions = _dimensions(content, path, document)
    coefficients = _coefficients(content.get("coefficients"), dimensions, (*path, "coefficients"), document)
    tensors = _tensors(content, path, document)
    _check_used(coefficients, dimensions, tensors, (*path, "coefficients"), document)
    _check_roles(tensors, phase, (*path, "tensors"), document)
    return Shape(name, phase, dimensions, coefficients, tensors, document)


def check_description(content: dict[str, Any], path: Path, document: Document) -> None:
    """Note a description that is no text; it is for the reader of the file and goes nowhere."""
    written = content.get("description", "")
    if not isinstance(written, str):
        document.complain((*path, "description"), f"'description' must be text, is {shorten(written)}")


def _dimensions(content: dict[str, Any], path: Path, document: Document) -> tuple[str, ...]:
    place = (*path, "dimensions")
    written = content.get("dimensions")
    if "dimensions" not in content:
        missing_key(document, place, content, _KEYS, "a list such as [M, K, N]")
    elif not isinstance(written, list) or not written:
        message = f"a shape's 'dimensions' must be a list of names, is {shorten(written)}"
        document.complain(place, message, "such as [M, K, N]")
    names: dict[str, None] = {}
    for index, name in enumerate(written if isinstance(written, list) else []):
        if not isinstance(name, str) or not is_identifier(name):
            message = f"the name of a dimension must be {IDENTIFIER_RULE}; is {shorten(name)}"
            document.complain((*place, index), message)
        elif name in names:
            document.complain((*place, index), f"duplicate dimension '{name}'")
        else:
            names[name] = None
    return tuple(names)


def _coefficients(
    written: Any, dimensions: tuple[str, ...], path: Path, document: Document
) -> dict[str, int]:
    if written is None:
        return {}
    if not isinstance(written, dict):
        document.complain(path, f"'coefficients' must be {PAIRS}, is {shorten(written)}")
        return {}
    values = {}
    for name, value in written.items():
        if not is_identifier(name) or name in dimensions:
            why = "is a dimension already" if name in dimensions else f"must be {IDENTIFIER_RULE}"
            document.complain((*path, name), f"coefficient '{name[:60]}' {why}", key=True)
            continue
        problem = bound_problem(value)
        if problem:
            document.complain((*path, name), f"coefficient '{name}' must be {problem}, is {shorten(value)}")
        values[name] = 1 if problem else value
    return values


def _check_used(
    coefficients: dict[str, int],
    dimensions: tuple[str, ...],
    tensors: tuple[ShapeTensor, ...],
    path: Path,
    document: Document,
) -> None:
    """Note coefficients that no index uses, unless a name in one is unknown and may be meant for it."""
    used = {name for one in tensors for index in one.projections for name in index.expression.names}
    for name in coefficients:
        if name not in used and not document.issues and used.issubset({*dimensions, *coefficients}):
            document.complain((*path, name), f"no projection uses the coefficient '{name[:60]}'", key=True)


def _tensors(content: dict[str, Any], path: Path, document: Document) -> tuple[ShapeTensor, ...]:
    place = (*path, "tensors")
    written = content.get("tensors")
    if "tensors" not in content:
        missing_key(document, place, content, _KEYS, _TENSORS)
        return ()
    if not isinstance(written, dict) or not written:
        document.complain(place, f"'tensors' must be {PAIRS}, is {shorten(written)}", _TENSORS)
        return ()
    tensors = []
    for name, item in written.items():
        if not is_name(name):
            document.complain(
                (*place, name), f"tensor {shorten(name)} must be 1 to 100 printable characters", key=True
            )
        elif not isinstance(item, dict):
            hint = "such as {projection: [K, C]}"
            document.complain((*place, name), f"tensor '{name}' must be {PAIRS}, is {shorten(item)}", hint)
        else:
            tensors.append(_tensor(name, item, (*place, name), document))
    outputs = [tensor.name for tensor in tensors if tensor.is_output]
    clear = all(
        isinstance(item, dict) and isinstance(item.get("output", False), bool) for item in written.values()
    )
    if len(outputs) != 1 and clear and len(tensors) == len(written):
        found = f"{' and '.join(outputs)} have it" if outputs else "none has it"
        document.complain(place, f"exactly one tensor must have 'output: true', {found}", key=True)
    return tuple(tensors)


def _check_roles(
    tensors: tuple[ShapeTensor, ...], phase: Phase | None, path: Path, document: Document
) -> None:
    """Note tensors that share a role, and an output that a stated phase does not write."""
    seen: dict[Role, str] = {}
    for tensor in tensors:
        if tensor.role in seen:
            message = f"tensor '{seen[tensor.role]}' has the role {tensor.role} already"
            document.complain((*path, tensor.name, "role"), message, "each role stands once")
        elif tensor.role is not None:
            seen[tensor.role] = tensor.name
    output = next((tensor for tensor in tensors if tensor.is_output), None)
    if phase is None or output is None or output.role is None or output.role == phase.writes:
        return
    message = (
        f"the {phase.text} phase writes the tensor of role {phase.writes}, '{output.name}' has {output.role}"
    )
    document.complain((*path, output.name, "role"), message)


def _tensor(name: str, item: dict[str, Any], path: Path, document: Document) -> ShapeTensor:
    for key in item:
        if key not in _TENSOR_KEYS:
            unknown_key(document, (*path, key), _TENSOR_KEYS)
    output = item.get("output", False)
    if not isinstance(output, bool):
        document.complain((*path, "output"), f"'output' must be true or false, is {shorten(output)}")
    written = item.get("projection")
    place = (*path, "projection")
    if "projection" not in item:
        missing_key(document, place, item, _TENSOR_KEYS, "a list with one index per rank, such as [K, C]")
    elif not isinstance(written, list) or not written:
        document.complain(
            place, f"'projection' must be a list with one index per rank, is {shorten(written)}"
        )
    projections = []
    for index, text in enumerate(written if isinstance(written, list) else []):
        where = (*place, index)
        try:
            projections.append(Projection(parse(text if isinstance(text, str) else repr(text)[:100]), where))
        except ExpressionError as error:
            document.complain(where, error.message, error.hint, offset=error.offset)
    return ShapeTensor(name, tuple(projections), output is True, _role(item, path, document))


def _role(item: dict[str, Any], path: Path, document: Document) -> Role | None:
    written = item.get("role")
    if "role" not in item or written in tuple(Role):
        return None if written is None else Role(written)
    hint = did_you_mean(str(written), Role)
    document.complain((*path, "role"), f"unknown role {shorten(written)}", hint)
    return None


def bound_problem(value: Any) -> str | None:
    """Return what a bound, factor or coefficient should be where `value` is none, else None."""
    if not isinstance(value, int) or isinstance(value, bool):
        return "a whole number"
    if value < 1:
        return "at least 1"
    return "at most 2^31" if value > 2**31 else None
