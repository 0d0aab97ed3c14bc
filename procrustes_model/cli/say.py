"""What the command line prints: everything goes through here, so that no name can command a terminal."""

from __future__ import annotations

import typer

from procrustes_model.printable import printable_block


def say(text: str = "", *, err: bool = False, nl: bool = True, styled: bool = False) -> None:
    """Print text on stdout.

    Parameters
    ----------
    text : str
        Of any number of lines. Other control characters in it are printed as escapes.
    err : bool
        On stderr instead.
    nl : bool
        Whether a line end follows.
    styled : bool
        Whether the text has colours of a `Style`.
    """
    typer.echo(printable_block(text, styled=styled), err=err, nl=nl)
