"""``procrustes explain``: where a number comes from."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from procrustes_model.cli.inputs import ArchitectureArgument, MappingArgument, ProblemArgument, load_all
from procrustes_model.cli.requests import flattened
from procrustes_model.cli.say import say
from procrustes_model.errors import SpecError


def _complete_level(ctx: typer.Context, incomplete: str) -> list[str]:
    from procrustes_model.spec.load import load_architecture

    try:
        architecture = load_architecture(ctx.params["architecture"])
    except (SpecError, KeyError):
        return []
    return [level.name for level in architecture.levels if level.name.startswith(incomplete)]


def _complete_tensor(ctx: typer.Context, incomplete: str) -> list[str]:
    from procrustes_model.spec.load import load_problem

    try:
        problem = load_problem(ctx.params["problem"])
    except (SpecError, KeyError):
        return []
    return [tensor.name for tensor in problem.tensors if tensor.name.startswith(incomplete)]


@flattened()
def explain_command(
    architecture: ArchitectureArgument,
    problem: ProblemArgument,
    mapping: MappingArgument,
    level: Annotated[
        str,
        typer.Argument(metavar="LEVEL", help="Storage level, such as DRAM.", autocompletion=_complete_level),
    ],
    tensor: Annotated[
        str,
        typer.Argument(metavar="TENSOR", help="Tensor, such as Weights.", autocompletion=_complete_tensor),
    ],
) -> None:
    """Explain where a tensor's numbers at a level come from."""
    specs = load_all(architecture, problem, mapping)
    from procrustes_model.explanation.explain import explain
    from procrustes_model.report.terminal.style import Style

    say(explain(*specs, level, tensor).to_text(Style.of(sys.stdout).width))
