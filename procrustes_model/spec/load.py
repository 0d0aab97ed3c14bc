"""From what a user has, a file, a name, a dict or an object, to a specification."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from collections.abc import Mapping as AbstractMapping
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import SpecError
from procrustes_model.spec.text.changes import Change, Edited
from procrustes_model.spec.text.document import document_from_data, open_document, read_document

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.network import Network
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.rules import Rules
    from procrustes_model.spec.schedule import Schedule
    from procrustes_model.spec.sparsity import Sparsity


def edit(source: Any, changes: Iterable[Change], kind: str) -> Any:
    """Return a specification with changes.

    Parameters
    ----------
    source : path, str or mapping
        A file, a name, or what a file would say.
    changes : iterable of Change
    kind : str
        The section that holds it.

    Raises
    ------
    SpecError
        When nothing of it can be changed.
    """
    changes = tuple(changes)
    if not changes:
        return source
    if isinstance(source, AbstractMapping):
        document = document_from_data(source)
        document.raise_issues()
        document.change(changes, kind)
        return document.data
    if not isinstance(source, str | os.PathLike):
        raise SpecError(changes[0].said.issue(f"this {kind} is no file", "give a file, a name or a dict"))
    if os.fspath(source).endswith(".npz"):
        raise SpecError(
            changes[0].said.issue(f"{os.fspath(source)} holds recorded masks", "only YAML has paths")
        )
    before = source.changes if isinstance(source, Edited) else ()
    return Edited(source.source if isinstance(source, Edited) else source, (*before, *changes))


def load_architecture(
    source: str | os.PathLike[str] | AbstractMapping[str, Any] | Architecture,
) -> Architecture:
    """Return the architecture that a file, a name or a dict describes.

    Parameters
    ----------
    source : path, str, mapping or Architecture
        A YAML file, the name of a shipped architecture, the parsed content, or an architecture, which is
        returned as is.

    Returns
    -------
    Architecture

    Raises
    ------
    SpecError
        With every issue found.
    """
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.architecture_reader import read_architecture

    if isinstance(source, Architecture):
        return source
    return read_architecture(open_document(source, "architecture"))


def load_mapping(
    source: str | os.PathLike[str] | AbstractMapping[str, Any] | Mapping,
    architecture: Architecture,
    problem: Problem,
    roomy: Collection[str] = (),
) -> Mapping:
    """Return the mapping that a file, a name or a dict describes, checked against what it maps.

    Parameters
    ----------
    source : path, str, mapping or Mapping
        A YAML file, the name of a shipped mapping, the parsed content, or a mapping: one that speaks of
        the same levels, dimensions and tensors is returned as it is.
    architecture : Architecture
        Gives the levels, their fan-out and which tensors they may keep.
    problem : Problem
        Gives the dimensions, their bounds and the tensors.
    roomy : collection of str
        Levels below which a sparse design leaves instances out, so that loops may spread over more than there
        are: what is left is checked when the mapping is evaluated.

    Returns
    -------
    Mapping
        With an entry per storage level, or several where its tensors stand apart. Capacity is not checked
        here: it depends on tiles, which the model computes.

    Raises
    ------
    SpecError
        With every issue found.
    """
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.mapping_reader import read_mapping

    if isinstance(source, Mapping):
        if _has_names_of(source, architecture, problem):
            return source
        source = source.to_dict()
    return read_mapping(open_document(source, "mapping"), architecture, problem, roomy)


def _has_names_of(mapping: Mapping, architecture: Architecture, problem: Problem) -> bool:
    """Say whether a mapping speaks of the same levels, dimensions and tensors; the model checks the rest."""
    tensors = {tensor.name for tensor in problem.tensors}
    named = list(dict.fromkeys(level.level for level in mapping.levels))
    return named == [level.name for level in architecture.levels] and all(
        tensors.issuperset(level.keep)
        and all(
            loop.dimension in problem.dimensions
            for loop in (*level.temporal, *level.spatial_x, *level.spatial_y)
        )
        for level in mapping.levels
    )


def check_mapping(mapping: Mapping, architecture: Architecture, problem: Problem) -> None:
    """Raise unless a mapping made in Python fits an architecture and a problem.

    Parameters
    ----------
    mapping : Mapping
    architecture : Architecture
    problem : Problem

    Raises
    ------
    SpecError
        With every issue, as `load_mapping` would find it.
    """
    load_mapping(mapping.to_dict(), architecture, problem)


def load_network(source: str | os.PathLike[str] | AbstractMapping[str, Any] | Network) -> Network:
    """Return the network that a file, a name or a dict describes.

    Parameters
    ----------
    source : path, str, mapping or Network
        A YAML file, the name of a shipped network, the parsed content, or a network, which is returned as is.

    Returns
    -------
    Network

    Raises
    ------
    SpecError
        With every issue found.
    """
    from procrustes_model.spec.network import Network
    from procrustes_model.spec.network_reader import read_network

    if isinstance(source, Network):
        return source
    return read_network(open_document(source, "network"))


def load_problem(source: str | os.PathLike[str] | AbstractMapping[str, Any] | Problem) -> Problem:
    """Return the problem that a file, a name or a dict describes.

    Parameters
    ----------
    source : path, str, mapping or Problem
        A YAML file, the name of a shipped problem, the parsed content, or a problem, which is returned as
        is.

    Returns
    -------
    Problem

    Raises
    ------
    SpecError
        With every issue found.
    """
    from procrustes_model.spec.problem import Problem
    from procrustes_model.spec.problem_reader import read_problem

    if isinstance(source, Problem):
        return source
    return read_problem(open_document(source, "problem"))


def load_rules(source: str | os.PathLike[str] | AbstractMapping[str, Any] | Rules) -> Rules:
    """Return the rules that a file or a dict describes.

    Parameters
    ----------
    source : path, mapping or Rules
        A YAML file with the key ``rules``, its parsed content, or rules, which are returned as they are.

    Returns
    -------
    Rules

    Raises
    ------
    SpecError
        With every issue found.
    """
    from procrustes_model.spec.rules import Rules
    from procrustes_model.spec.schema import build

    if isinstance(source, Rules):
        return source
    if not isinstance(source, str | os.PathLike | AbstractMapping):
        raise SpecError(f"rules are given as a path or a dict, not as {type(source).__name__}")
    document = document_from_data(source) if isinstance(source, AbstractMapping) else read_document(source)
    rules = build(Rules, document.section("rules"), document, ("rules",))
    document.raise_issues()
    assert rules is not None
    return rules


def load_schedule(source: str | os.PathLike[str] | AbstractMapping[str, Any] | Schedule) -> Schedule:
    """Return the training run that a file, a name or a dict describes.

    Parameters
    ----------
    source : path, str, mapping or Schedule
        A YAML file, the name of a shipped schedule, the parsed content, or a schedule, which is returned as
        is.

    Returns
    -------
    Schedule

    Raises
    ------
    SpecError
        With every issue found.
    """
    from procrustes_model.spec.schedule import Schedule
    from procrustes_model.spec.schedule_reader import read_schedule

    if isinstance(source, Schedule):
        return source
    return read_schedule(open_document(source, "schedule"))


def load_sparsity(source: str | os.PathLike[str] | AbstractMapping[str, Any] | Sparsity) -> Sparsity:
    """Return the sparse design that a file, a name or a dict describes.

    Parameters
    ----------
    source : path, str, mapping or Sparsity
        A YAML file, the name of a shipped design, the parsed content, or a design, which is returned as is.

    Returns
    -------
    Sparsity

    Raises
    ------
    SpecError
        With every issue found.
    """
    from procrustes_model.spec.sparsity import Sparsity
    from procrustes_model.spec.sparsity_reader import read_sparsity

    if isinstance(source, Sparsity):
        return source
    return read_sparsity(open_document(source, "sparsity"))
