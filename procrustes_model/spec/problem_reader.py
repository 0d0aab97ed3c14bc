"""From a problem as written, a shape with bounds, to a `Problem`."""

from __future__ import annotations

import math
import os
import pathlib
from typing import Any

from procrustes_model.errors import SpecError
from procrustes_model.spec.problem import Problem, Tensor, Term
from procrustes_model.spec.schema import LARGEST_PRODUCT, build
from procrustes_model.spec.shape import Shape, bound_problem, check_description, load_shape, read_shape
from procrustes_model.spec.text.affine import affine_terms
from procrustes_model.spec.text.document import Document, missing_key, unknown_key
from procrustes_model.spec.text.expressions import ExpressionError
from procrustes_model.spec.text.words import PAIRS, closest, did_you_mean, is_name, shorten
from procrustes_model.spec.text.yaml_text import Path

CONTENT = ("shape", "dimensions", "coefficients")
_KEYS = ["name", *CONTENT, "bits", "starts", "ends", "description"]


def read_problem(document: Document) -> Problem:
    """Return the problem that a document describes.

    Parameters
    ----------
    document : Document
        With the one top-level key `problem`.

    Returns
    -------
    Problem

    Raises
    ------
    SpecError
        With every issue found, those of its shape included.
    """
    content = document.section("problem")
    path: Path = ("problem",)
    for key in content:
        if key == "phase":
            hint = "the shape says it: conv, conv_backward, conv_weight_update, ..."
            document.complain((*path, key), "a problem has no key 'phase'", hint, key=True)
        elif key not in _KEYS:
            unknown_key(document, (*path, key), _KEYS)
    check_description(content, path, document)
    problem = read_content(_name(content, document), content, path, document)
    document.raise_issues()
    assert problem is not None
    for key in ("bits", "starts", "ends"):
        if content.get(key) is not None:
            problem = _with_own(problem, key, content[key], (*path, key), document)
            document.raise_issues()
    return problem


def _with_own(problem: Problem, key: str, written: Any, path: Path, document: Document) -> Problem:
    """Return a problem whose tensors have what stands at a path: bits, or where they start or end."""
    names = [tensor.name for tensor in problem.tensors]
    unknown = [name for name in written if name not in names] if isinstance(written, dict) else []
    for name in unknown:
        message = f"the problem {problem.name} has no tensor '{name[:60]}' for '{key}'"
        document.complain((*path, name), message, did_you_mean(name, names), key=True)
    if unknown:
        return problem
    data = {field: getattr(problem, field) for field in Problem.model_fields} | {key: written}
    return build(Problem, data, document, path[:-1]) or problem


def read_content(name: str, content: dict[str, Any], path: Path, document: Document) -> Problem | None:
    """Return the problem of a shape, bounds and coefficients that stand at a path.

    Parameters
    ----------
    name : str
        What results call it.
    content : dict
        With the keys `CONTENT`; the caller looks for others.
    path : tuple
        Where it stands.
    document : Document
        Gets the issues, those of the shape included.

    Returns
    -------
    Problem or None
        None where there is an issue.
    """
    before = len(document.issues)
    shape = _shape(content, path, document)
    bounds = _bounds(content, shape, path, document)
    coefficients = _coefficients(content, shape, path, document)
    tensors = _tensors(shape, coefficients) if shape else ()
    if shape and shape.document is not document:
        document.issues.extend(shape.document.issues)
    if shape is None or not bounds or len(document.issues) > before:
        return None
    data = {"name": name, "shape": shape.name, "phase": shape.phase, "dimensions": bounds, "tensors": tensors}
    return build(Problem, data, document, path)


def _name(content: dict[str, Any], document: Document) -> str:
    name = content.get("name")
    if "name" not in content:
        missing_key(document, ("problem", "name"), content, _KEYS, "what results call the problem")
    elif not isinstance(name, str) or not is_name(name):
        document.complain(
            ("problem", "name"), f"'name' must be text of 1 to 100 printable characters, is {shorten(name)}"
        )
        return "-"
    return str(name)


def _shape(content: dict[str, Any], above: Path, document: Document) -> Shape | None:
    """Return the shape, named or written in place; None where it cannot be read."""
    path: Path = (*above, "shape")
    written = content.get("shape")
    if "shape" not in content:
        missing_key(document, path, content, _KEYS, "such as 'shape: conv'")
        return None
    if isinstance(written, dict):
        before = len(document.issues)
        shape = read_shape(written, path, document)
        return shape if len(document.issues) == before else None
    if not isinstance(written, str):
        document.complain(path, f"'shape' must be a name or {PAIRS}, is {shorten(written)}")
        return None
    from procrustes_model.shipped import resolve

    try:
        beside = pathlib.Path(document.file or "").parent / written
        # Path.exists would raise where the name is too long.
        exists = written.endswith((".yaml", ".yml")) and os.path.exists(beside)  # noqa: PTH110
        file = beside if exists else resolve("shape", written)
    except SpecError as error:
        document.complain(path, error.issues[0].message, error.issues[0].hint)
        return None
    if file.is_dir():
        document.complain(path, f"'{written}' is a directory", "name a shape, or its file")
        return None
    try:
        return load_shape(file)
    except SpecError as error:
        document.issues.extend(error.issues)
        return None


def _bounds(content: dict[str, Any], shape: Shape | None, above: Path, document: Document) -> dict[str, int]:
    """Return the bound of every dimension, in the shape's order."""
    path: Path = (*above, "dimensions")
    written = content.get("dimensions")
    if "dimensions" not in content:
        missing_key(document, path, content, _KEYS, "such as {M: 64, K: 64, N: 64}")
        return {}
    if not isinstance(written, dict):
        document.complain(
            path, f"'dimensions' must be {PAIRS}, is {shorten(written)}", "such as {M: 64, K: 64, N: 64}"
        )
        return {}
    bounds = {}
    for name, value in written.items():
        if shape and name not in shape.dimensions:
            near = closest(name, [one for one in shape.dimensions if one not in written])
            hint = f"did you mean '{near}'?" if near else _all(shape)
            message = f"unknown dimension '{name[:60]}' for shape {shape.name}"
            document.complain((*path, name), message, hint, key=True)
            continue
        problem = bound_problem(value)
        if problem:
            document.complain(
                (*path, name), f"the bound of {name[:60]} must be {problem}, is {shorten(value)}"
            )
        bounds[name] = 1 if problem else value
    if not shape:
        return {}
    _check_missing(written, shape, path, document)
    if math.prod(bounds.values()) > LARGEST_PRODUCT:
        document.complain(
            path, "the product of the bounds is more than 2^62", "counts would not be exact", key=True
        )
    return {name: bounds.get(name, 1) for name in shape.dimensions}


def _check_missing(written: dict[str, Any], shape: Shape, path: Path, document: Document) -> None:
    unknown = [name for name in written if name not in shape.dimensions]
    missing = [name for name in shape.dimensions if name not in written]
    # A misspelt dimension is one issue, not two.
    missing = [name for name in missing if not any(closest(wrong, missing) == name for wrong in unknown)]
    if missing:
        what = (
            f"missing dimension{'s' if len(missing) > 1 else ''} {', '.join(missing)} of shape {shape.name}"
        )
        document.complain(path, what, f"give the bound, such as '{missing[0]}: 1'", key=True)


def _all(shape: Shape) -> str:
    return f"its dimensions are {', '.join(shape.dimensions)}"


def _coefficients(
    content: dict[str, Any], shape: Shape | None, above: Path, document: Document
) -> dict[str, int]:
    path: Path = (*above, "coefficients")
    written = content.get("coefficients")
    values = dict(shape.coefficients) if shape else {}
    if written is None:
        return values
    if not isinstance(written, dict):
        document.complain(path, f"'coefficients' must be {PAIRS}, is {shorten(written)}")
        return values
    for name, value in written.items():
        if shape and name not in shape.coefficients:
            hint = did_you_mean(name, shape.coefficients) or f"shape {shape.name} has none"
            document.complain((*path, name), f"unknown coefficient '{name[:60]}'", hint, key=True)
            continue
        problem = bound_problem(value)
        if problem:
            document.complain(
                (*path, name), f"coefficient '{name[:60]}' must be {problem}, is {shorten(value)}"
            )
        else:
            values[name] = value
    return values


def _tensors(shape: Shape, coefficients: dict[str, int]) -> tuple[Tensor, ...]:
    """Return the shape's tensors with the coefficients put in; issues go to the shape's document."""
    tensors = []
    for tensor in shape.tensors:
        ranks = []
        for projection in tensor.projections:
            try:
                terms = affine_terms(projection.expression, list(shape.dimensions), coefficients)
                if any(value > 2**31 for _, value in terms):
                    raise ExpressionError("a coefficient of more than 2^31")
                ranks.append(tuple(Term(dimension=name, coefficient=value) for name, value in terms))
            except ExpressionError as error:
                shape.document.complain(projection.path, error.message, error.hint, offset=error.offset)
        tensors.append(
            Tensor(name=tensor.name, ranks=tuple(ranks), is_output=tensor.is_output, role=tensor.role)
        )
    return tuple(tensors)
