"""Errors as a user of the command line sees them: a line each, no traceback, an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer

from procrustes_model.errors import Issue, SpecError

BAD_INPUT = 2
BROKEN_PIPE = 141
"""What a shell reports for a program that a closed pipe ends."""


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn errors that a user can mend into lines on stderr and an exit status.

    Raises
    ------
    typer.Exit
        Status 2 after a `SpecError` or `OSError`, 141 without a word when stdout's reader has gone.
    """
    try:
        yield
        # Here, and not when the interpreter ends, where an error could not be caught.
        if sys.stdout is not None:
            sys.stdout.flush()
    except SpecError as error:
        print_issues(error.issues)
        raise typer.Exit(BAD_INPUT) from None
    except BrokenPipeError:
        _discard_stdout()
        raise typer.Exit(BROKEN_PIPE) from None
    except OSError as error:
        where = error.filename if error.filename is not None else "standard output"
        print_issues([Issue(error.strerror or str(error), file=str(where))])
        _discard_stdout()
        raise typer.Exit(BAD_INPUT) from None


def print_issues(issues: Iterable[Issue]) -> None:
    """Print each issue on a line of its own on stderr."""
    for issue in issues:
        typer.echo(f"error: {issue}", err=True)


def _discard_stdout() -> None:
    """Send what is still buffered nowhere, lest it fail again when the interpreter ends."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)
