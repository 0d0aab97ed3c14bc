"""``procrustes evaluate``: counts, energy and cycles of one mapping."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.inputs import ArchitectureArgument, MappingArgument, ProblemArgument, load_all
from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from procrustes_model.model.result import Result
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem


def evaluate_command(
    architecture: ArchitectureArgument,
    problem: ProblemArgument,
    mapping: MappingArgument,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a CSV: a row per level, tensor and action.")
    ] = None,
    csv_wide: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a CSV: one row, an energy column per level.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything as JSON.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Evaluate a mapping: accesses, energy and cycles."""
    with reported_errors(), _quick_start():
        outputs = {"--csv": csv, "--csv-wide": csv_wide, "--json": json}
        _check_outputs(outputs, (architecture, problem, mapping))
        specs = load_all(architecture, problem, mapping)
        if not quiet:
            _announce_compiling()
        from procrustes_model.model.evaluate import evaluate

        result = evaluate(*specs)
        _write(result, csv, csv_wide, json)
        if not quiet:
            _print(result, *specs)
            for path in outputs.values():
                if path is not None:
                    typer.echo(f"Wrote {path}")


def _check_outputs(outputs: dict[str, Path | None], inputs: tuple[str, ...]) -> None:
    """Find out before the work whether all outputs can be written and none replaces another or an input."""
    from procrustes_model.report.atomic import check_writable

    issues = []
    taken = {os.path.realpath(name): name for name in inputs if Path(name).is_file()}
    for option, path in outputs.items():
        if path is None:
            continue
        try:
            check_writable(path)
        except OSError as error:
            issues.append(Issue(f"{option} cannot be written: {error.strerror}", file=str(path)))
        real = os.path.realpath(path)
        if real in taken:
            issues.append(
                Issue(f"{option} would overwrite {taken[real]}", "give it a file of its own", file=str(path))
            )
        elif not path.exists() or path.is_file():
            taken[real] = f"what {option} writes"
    if issues:
        raise SpecError(issues)


def _announce_compiling() -> None:
    from procrustes_model.kernels.cache import cache_directory, is_warm

    if not is_warm():
        when = (
            "once after install"
            if cache_directory()
            else "each time: there is no folder for them that can be written"
        )
        typer.echo(f"compiling kernels ({when}) ...", err=True)


@contextmanager
def _quick_start() -> Iterator[None]:
    """Save half of the time that starting takes, in a process that lives for one evaluation.

    Numba imports SciPy where it is installed, for linear algebra that no kernel uses, and the garbage
    collector goes again and again through all that importing leaves behind.
    """
    hidden = "scipy" not in sys.modules
    if hidden:
        sys.modules["scipy"] = None  # type: ignore[assignment]  # importing it then fails at once
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if hidden:
            del sys.modules["scipy"]
        if collecting:
            gc.enable()


def _write(result: Result, csv: Path | None, csv_wide: Path | None, json: Path | None) -> None:
    """Write the outputs asked for; each text is complete before the first file is touched."""
    from procrustes_model.report.atomic import write_atomically
    from procrustes_model.report.csv import tidy_text, wide_text
    from procrustes_model.report.json import json_text

    texts: list[tuple[Path, str]] = []
    if csv is not None:
        texts.append((csv, tidy_text([result])))
    if csv_wide is not None:
        texts.append((csv_wide, wide_text([result])))
    if json is not None:
        texts.append((json, json_text(result)))
    for path, text in texts:
        write_atomically(path, text)


def _print(result: Result, architecture: Architecture, problem: Problem, mapping: Mapping) -> None:
    from procrustes_model.report.nest import format_nest
    from procrustes_model.report.table import Style, format_summary, format_table

    phase = f" ({result.phase.replace('_', ' ')})" if result.phase else ""
    typer.echo(f"{result.problem}{phase} on {result.architecture}, mapping {result.mapping}")
    typer.echo(f"\n{format_nest(architecture, problem, mapping)}\n")
    typer.echo(format_table(result, Style.of(sys.stdout)))
    typer.echo(f"\n{format_summary(result, architecture)}")
