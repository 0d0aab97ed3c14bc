"""Errors as a user of the command line sees them: a line each, no traceback, an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import typer

from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError

BAD_INPUT = 2
_STDERR = 2
"""The number of its descriptor."""
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
        _discard_streams()
        raise typer.Exit(BROKEN_PIPE) from None
    except OSError as error:
        where = error.filename if error.filename is not None else "standard output"
        print_issues([Issue(error.strerror or str(error), file=str(where))])
        _discard_streams()
        raise typer.Exit(BAD_INPUT) from None


def print_issues(issues: Iterable[Issue]) -> None:
    """Print each issue on a line of its own on stderr; where nobody can read it, the exit status says it."""
    with suppress(OSError):
        for issue in issues:
            say(f"error: {issue}", err=True)


def open_streams() -> None:
    """Put something in the place of standard streams that are closed.

    Else the next file that is opened would get their numbers, and what is printed. Writing to what stands for
    stdout is an error, as it is to a full disk; what goes to stderr is lost.
    """
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= _STDERR:
        if descriptor == _STDERR:
            os.dup2(null := os.open(os.devnull, os.O_WRONLY), _STDERR)
            os.close(null)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(_STDERR, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115


def _discard_streams() -> None:
    """Send what is still buffered nowhere, lest it fail again when the interpreter ends."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
            continue
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
