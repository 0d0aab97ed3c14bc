"""The three specifications that most verbs take: their arguments, completion and loading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem


def complete_shipped(kind: str, incomplete: str) -> list[str]:
    """Return the names of one kind that ship and start with what is typed so far."""
    from procrustes_model.shipped import list_shipped

    return [name for name in list_shipped(kind) if name.startswith(incomplete)]


def _complete_architecture(incomplete: str) -> list[str]:
    return complete_shipped("architecture", incomplete)


def _complete_problem(incomplete: str) -> list[str]:
    return complete_shipped("problem", incomplete)


def _complete_mapping(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the mappings of the architecture typed before, or all where it has none."""
    names = complete_shipped("mapping", incomplete)
    own = [name for name in names if name.startswith(f"{ctx.params.get('architecture')}/")]
    return own or names


ArchitectureArgument = Annotated[
    str,
    typer.Argument(metavar="ARCH", help="Architecture: file or name.", autocompletion=_complete_architecture),
]
ProblemArgument = Annotated[
    str, typer.Argument(metavar="PROBLEM", help="Problem: file or name.", autocompletion=_complete_problem)
]
MappingArgument = Annotated[
    str, typer.Argument(metavar="MAPPING", help="Mapping: file or name.", autocompletion=_complete_mapping)
]


def load_all(
    architecture: str, problem: str, mapping: str, sparsity: str | None = None
) -> tuple[Architecture, Problem, Mapping]:
    """Load all three, and report what is wrong with any of them together.

    Parameters
    ----------
    architecture, problem, mapping : str
        Files or shipped names.
    sparsity : str, optional
        The sparse design, which may leave room for wider loops in space; what is wrong with it is not
        reported here.

    Raises
    ------
    SpecError
        With the issues of architecture and problem, and of the mapping's form where they have any.
    """
    from procrustes_model.shipped import resolve
    from procrustes_model.spec.load import load_architecture, load_mapping

    issues: list[Issue] = []
    machine = work = None
    try:
        machine = load_architecture(architecture)
    except SpecError as error:
        issues += error.issues
    try:
        work = load_one_problem(problem, architecture)
    except SpecError as error:
        issues += error.issues
    if machine is not None and work is not None:
        return machine, work, load_mapping(mapping, machine, work, _roomy(sparsity, machine, work))
    try:
        from procrustes_model.cli.mapping_alone import check_mapping_alone

        check_mapping_alone(resolve("mapping", mapping))
    except SpecError as error:
        issues += error.issues
    raise SpecError(issues)


def load_one_problem(problem: str, architecture: str) -> Problem:
    """Return the problem of a command that takes one; where it is a network, name the command for networks.

    Raises
    ------
    SpecError
        See `load_problem`.
    """
    from procrustes_model.spec.load import load_network, load_problem

    try:
        return load_problem(problem)
    except SpecError:
        try:
            load_network(problem)
        except SpecError:
            pass
        else:
            other = f"procrustes network {architecture} {problem}"
            raise SpecError(Issue(f"'{problem[:200]}' is a network, and no problem", other)) from None
        raise


def _roomy(sparsity: str | None, machine: Architecture, problem: Problem) -> set[str]:
    """Return the levels below which a sparse design leaves instances out in a problem's phase."""
    from procrustes_model.spec.level_roles import place_levels
    from procrustes_model.spec.load import load_sparsity

    try:
        design = None if sparsity is None else load_sparsity(sparsity)
        if design is None:
            return set()
        placed, _ = place_levels(design, machine, problem)
    except SpecError:
        return set()
    return placed.phase(problem.phase).roomy
