"""What verbs that evaluate share: a quick start, outputs that are checked before the work, the tables."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from procrustes_model.model.result import Result
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.mapping import Mapping
    from procrustes_model.spec.problem import Problem


STDOUT = "-"
"""The file that stands for standard output: nothing else is printed there then."""


def is_stdout(path: Path | None) -> bool:
    """Return whether a file stands for standard output."""
    return path is not None and str(path) == STDOUT


def to_stdout(outputs: dict[str, Path | None]) -> bool:
    """Return whether an output goes to standard output, which then has nothing else."""
    return any(map(is_stdout, outputs.values()))


def check_outputs(outputs: dict[str, Path | None], inputs: tuple[str, ...]) -> None:
    """Find out before the work whether all outputs can be written and none replaces another or an input."""
    from procrustes_model.files import check_writable

    issues = []
    streams = [option for option, path in outputs.items() if is_stdout(path)]
    if len(streams) > 1:
        issues.append(Issue(f"{' and '.join(streams)} both go to standard output", "give one of them a file"))
    taken = {os.path.realpath(name): name for name in inputs if Path(name).is_file()}
    for option, path in outputs.items():
        if path is None or is_stdout(path):
            continue
        if str(path).startswith("--"):
            issues.append(Issue(f"{option} is followed by {path}", f"give it a file, or {STDOUT}"))
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


def announce_compiling(kernel: str) -> None:
    """Say on stderr that compiling comes first, unless `kernel` has been compiled before."""
    from procrustes_model.kernels.cache import cache_directory, is_warm

    if not is_warm(kernel):
        when = (
            "once after install"
            if cache_directory()
            else "each time: there is no folder for them that can be written"
        )
        say(f"compiling kernels ({when}) ...", err=True)


@contextmanager
def announced_late(kernel: str, *, quiet: bool) -> Iterator[None]:
    """Say it likewise where work that is small as a rule turns out to need compiled kernels after all."""
    from procrustes_model.kernels.jit import announce_compiled

    told = announce_compiled.set(None if quiet else lambda: announce_compiling(kernel))
    try:
        yield
    finally:
        announce_compiled.reset(told)


@contextmanager
def quick_start() -> Iterator[None]:
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


def print_result(result: Result, architecture: Architecture, problem: Problem, mapping: Mapping) -> None:
    """Print the loop nest, the table and the summary of an evaluation."""
    from procrustes_model.report.terminal.nest import format_nest
    from procrustes_model.report.terminal.style import Style, wrap
    from procrustes_model.report.terminal.table import format_summary, format_table

    style = Style.of(sys.stdout)
    phase = f" ({result.phase.replace('_', ' ')})" if result.phase else ""
    head = f"{result.problem}{phase} on {result.architecture}, mapping {result.mapping}"
    say("\n".join(wrap(head, style)))
    say(f"\n{format_nest(architecture, problem, mapping, style.width)}\n")
    say(format_table(result, style), styled=True)
    say(f"\n{format_summary(result, architecture, style)}")
    from procrustes_model.model.sparse.result import SparseResult

    if isinstance(result, SparseResult):
        from procrustes_model.report.terminal.sparse import format_sparse

        say(f"\n{format_sparse(result, style)}")


def print_assumptions(results: Sequence[Result]) -> None:
    """Print, once for all phases, what cycles stand on that the design does not state."""
    from procrustes_model.report.terminal.sparse import describe_ideal
    from procrustes_model.report.terminal.style import Style, labelled

    ideal = describe_ideal(result.to_dict() for result in results)
    if ideal is not None:
        say("\n" + "\n".join(labelled("Note", [ideal], Style.of(sys.stdout))))


def write_results(
    results: list[Result], csv: Path | None, csv_wide: Path | None = None, json: Path | None = None
) -> None:
    """Write the outputs asked for; all text is complete before a file is touched."""
    from procrustes_model.report.tables.csv import tidy_text, wide_text
    from procrustes_model.report.tables.json import json_text

    texts: list[tuple[Path, str]] = []
    if csv is not None:
        texts.append((csv, tidy_text(results)))
    if csv_wide is not None:
        texts.append((csv_wide, wide_text(results)))
    if json is not None:
        texts.append((json, json_text(results)))
    for path, text in texts:
        write_output(path, text)


def write_output(path: Path, text: str) -> None:
    """Write text to a file, or to standard output as it is: on a terminal control characters as escapes.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    if not is_stdout(path):
        from procrustes_model.files import write_atomically

        write_atomically(path, text)
    elif sys.stdout.isatty():
        say(text, nl=False)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.buffer.flush()


def print_written(outputs: dict[str, Path | None]) -> None:
    """Say which files were written."""
    for path in outputs.values():
        if path is not None and not is_stdout(path):
            say(f"Wrote {path}")
