"""Rules that a mapping, its architecture and its problem must satisfy together."""

from __future__ import annotations

import math
from collections.abc import Collection

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.homes import find_home
from procrustes_model.spec.mapping_passes import check_passes
from procrustes_model.spec.mapping_written import WrittenLevel
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.tensors import strange_tensors
from procrustes_model.spec.text.document import Document
from procrustes_model.spec.text.yaml_text import Path

_Place = tuple[int, str, int]  # level, kind of loop, factor


def check_bounds(
    levels: list[WrittenLevel],
    unclear: set[str],
    architecture: Architecture,
    problem: Problem,
    document: Document,
) -> None:
    """Note every dimension whose loops do not cover just its bound.

    Parameters
    ----------
    levels : list of WrittenLevel
        One per storage level.
    unclear : set of str
        Dimensions that have an issue already.
    architecture : Architecture
    problem : Problem
    document : Document
        Gets the issues.
    """
    for dimension, bound in problem.dimensions.items():
        if dimension in unclear:
            continue
        if any(name == dimension for level in levels for _, name in level.last):
            check_passes(dimension, bound, levels, architecture, document)
            continue
        places = [
            (index, kind, level.loops[kind][dimension])
            for kind in ("temporal", "spatial_x", "spatial_y")
            for index, level in enumerate(levels)
            if dimension in level.loops[kind]
        ]
        product = math.prod(factor for _, _, factor in places)
        if product == bound:
            continue
        path: Path = ("mapping", "levels")
        if places:
            index, kind, _ = places[0]
            path = (*levels[index].path, kind)
            message = f"the factors of {dimension} multiply to {product}, its bound is {bound}"
        else:
            message = f"{dimension} has no loop, its bound is {bound}"
        document.complain(
            path, message, _what_fits(dimension, bound, product, places, architecture), key=True
        )


def _what_fits(
    dimension: str, bound: int, product: int, places: list[_Place], architecture: Architecture
) -> str:
    """Return one change that would make the product right, or what the factors may be."""
    if not places:
        return f"write {dimension}={bound} in the temporal loops of one level, or split it over several"
    for index, kind, factor in places:
        others = product // factor
        if bound % others == 0:
            ratio = _ratio(bound, product)
            where = f"{architecture.levels[index].name} {kind}"
            return f"{ratio}e.g. {where} {dimension}={factor} -> {dimension}={bound // others}"
    if bound % product == 0:
        return f"one factor {bound // product} times larger somewhere"
    return f"every factor must divide {bound}: {_divisors(bound)}"


def _ratio(bound: int, product: int) -> str:
    if bound % product == 0:
        return f"one factor {bound // product} times larger somewhere, "
    if product % bound == 0:
        return f"one factor {product // bound} times smaller somewhere, "
    return ""


def _divisors(number: int) -> str:
    """Return the divisors of a number as text; the smallest where they are many."""
    found = []
    for candidate in range(1, min(number, 10_000) + 1):
        if number % candidate == 0:
            found.append(candidate)
        if len(found) == 16:
            break
    last = "" if found[-1] == number else f", ..., {number}"
    return ", ".join(str(one) for one in found) + last


def check_fanout(
    levels: list[WrittenLevel], architecture: Architecture, document: Document, roomy: Collection[str] = ()
) -> None:
    """Note spatial loops over more instances than there are below a level.

    Parameters
    ----------
    levels : list of WrittenLevel
        One per storage level.
    architecture : Architecture
    document : Document
        Gets the issues.
    roomy : collection of str
        Levels that are left out.
    """
    for index, level in enumerate(levels):
        if architecture.levels[index].name in roomy:
            continue
        inner = architecture.levels[index + 1] if index + 1 < len(levels) else architecture.compute
        for axis, available in zip(("spatial_x", "spatial_y"), architecture.fanout(index), strict=True):
            factors = level.loops[axis]
            used = math.prod(factors.values())
            if used > available:
                loops = " ".join(f"{name}={factor}" for name, factor in factors.items())
                above = architecture.levels[index].name
                message = f"{axis} {loops} needs {used} {inner.name} instances below each {above}"
                verb = "is" if available == 1 else "are"
                hint = f"there {verb} {available} on this axis (mesh_{axis[-1]} of {inner.name})"
                document.complain((*level.path, axis), message, hint)


def check_keep(
    levels: list[WrittenLevel], architecture: Architecture, problem: Problem, document: Document
) -> None:
    """Note tensors that the outermost level does not keep, and those of the architecture that do not exist.

    Parameters
    ----------
    levels : list of WrittenLevel
        One per storage level.
    architecture : Architecture
    problem : Problem
    document : Document
        Gets the issues.
    """
    for tensor in problem.tensors:
        index = find_home(architecture, problem, tensor.name)
        home = architecture.levels[index]
        if tensor.name in levels[index].keep:
            continue
        holders = [
            architecture.levels[index].name for index, level in enumerate(levels) if tensor.name in level.keep
        ]
        where = f"only at {', '.join(holders)}" if holders else "nowhere"
        message = f"{tensor.name} is kept {where}"
        if not home.may_keep(tensor.name):
            hint = (
                f"{home.name} is outermost: add it to its 'tensors' in {architecture.name}, or to 'resident'"
                " of the level where it begins and ends"
            )
        elif home.name == architecture.levels[0].name:
            hint = f"{home.name} is outermost and must keep every tensor"
        else:
            hint = f"it begins and ends at {home.name}, which must keep it"
        document.complain((*levels[index].path, "keep"), message, hint)
    document.issues += strange_tensors(architecture, problem)


def check_beside(levels: list[WrittenLevel], architecture: Architecture, document: Document) -> None:
    """Note loops of a level that others lie beside: the loops of all of them stand at the last one."""
    for index, level in enumerate(architecture.levels):
        if not level.beside:
            continue
        outer = architecture.levels[index - 1].name
        for key, loops in levels[index - 1].loops.items():
            if any(factor > 1 for factor in loops.values()):
                message = f"{level.name} lies beside {outer}, and {outer} has loops of its own"
                document.complain((*levels[index - 1].path, key), message, f"write them at {level.name}")
