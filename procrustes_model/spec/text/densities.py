"""Densities by tensor as options write them, such as ``W=0.1,X=0.5``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.vocabulary import Role

_DENSITIES = "write TENSOR=NUMBER,... with numbers from 0 to 1, such as W=0.1,X=0.5"


def parse_tensor_densities(
    text: str, names: Sequence[str], roles: Mapping[Role, str], where: str
) -> dict[str, float]:
    """Return densities by tensor from text such as ``W=0.1,X=0.5``.

    Parameters
    ----------
    text : str
    names : sequence of str
        Of the tensors that there are.
    roles : dict of Role to str
        Names of those that letters stand for.
    where : str
        What they are tensors of.

    Raises
    ------
    SpecError
        When a tensor is unknown or given twice, or a density is not a number from 0 to 1.
    """
    found: dict[str, float] = {}
    issues = []
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            shown = f"'{part.strip()}' is no density" if part.strip() else f"a density is missing in '{text}'"
            issues.append(Issue(f"--density: {shown}" if text.strip() else "--density is empty", _DENSITIES))
            continue
        role = None if name in names else Role.of_letter(name)
        tensor = name if role is None else roles.get(role, name)
        if tensor not in names:
            issues.append(_unknown(name, names, where))
            continue
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:
            issues.append(Issue(f"--density: '{part.strip()}' is no density", _DENSITIES))
        if tensor in found:
            issues.append(Issue(f"--density: {tensor} is given twice in {text.strip()}", "keep one of them"))
        found[tensor] = number
    if issues:
        raise SpecError(issues)
    return found


def by_tensor(
    given: Mapping[str, Any], names: Sequence[str], roles: Mapping[Role, str], where: str
) -> dict[str, Any]:
    """Return what is given by tensor with the tensors' names in place of letters such as W, X and Y.

    Parameters
    ----------
    given : mapping
        Other names are left as they are.
    names, roles, where
        As `parse_tensor_densities` takes them.

    Raises
    ------
    SpecError
        When a tensor is given twice.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        role = None if name in names else Role.of_letter(str(name))
        tensor = name if role is None else roles.get(role, name)
        if tensor in found:
            raise SpecError(Issue(f"{tensor} of {where} is given twice, also as {name}", "keep one of them"))
        found[tensor] = value
    return found


def check_tensor_densities(given: Mapping[Any, Any], names: Sequence[str], where: str) -> dict[str, float]:
    """Return densities by tensor from a mapping; see `parse_tensor_densities`."""
    issues = [_unknown(str(name), names, where) for name in given if name not in names]
    for name, value in given.items():
        if isinstance(value, bool) or not hasattr(value, "__float__") or not 0 <= float(value) <= 1:
            issues.append(
                Issue(f"--density: {str(value)[:40]} is no density of {name}", "a number from 0 to 1")
            )
    if issues:
        raise SpecError(issues)
    return {str(name): float(value) for name, value in given.items()}


def write_tensor_densities(densities: Mapping[str, float]) -> str:
    """Return densities as text that `parse_tensor_densities` reads back equal."""
    return ",".join(f"{name}={float(value)!r}" for name, value in densities.items())


def _unknown(name: str, names: Sequence[str], where: str) -> Issue:
    return Issue(f"--density: '{name[:40]}' is no tensor of {where}", f"choose from {', '.join(names)}")
