"""``procrustes masks``: files of masks, made from checkpoints, and what is in them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.say import say
from procrustes_model.cli.values import number, word
from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import Form
from procrustes_model.printable import quote

if TYPE_CHECKING:
    from procrustes_model.training.patterns import NM

app = typer.Typer(
    help="Make files of masks from checkpoints, and show what is in them.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


_FLOAT = Form("a number", float, float)
"""Also infinity and what is none: their bounds are checked with a hint."""


@app.command(name="from-checkpoint")
def from_checkpoint_command(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Weights: .pt, .pth, .ckpt, .bin, .safetensors, .npz, an index or a folder."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.npz", help="The file of masks to write.")],
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Keep weights of a larger magnitude. Default: 0, all but zeros.",
            **number("--threshold", form=_FLOAT, sign="T"),
        ),
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(
            help="Keep this part of all weights, the largest, such as 0.1.",
            **number("--keep", form=_FLOAT, sign="PART"),
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(metavar="N:M", help="Keep the N largest of every M neighbours, such as 2:4."),
    ] = None,
    along: Annotated[
        str | None,
        typer.Option(
            **word("dimension", str, ("C", "K", "flattened")),
            help="What --pattern runs along: input channels, the default, output channels, or each filter, "
            "input channel fastest.",
        ),
    ] = None,
    entry: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Container with the weights, such as model_ema; '.' is the whole file."
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(metavar="NETWORK", help="File or name; what is no layer of it is no weight."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Find which weights of a checkpoint are kept. No code in it is run."""
    with reported_errors():
        from procrustes_model.cli.outputs import check_outputs, print_written

        _check_options(threshold, keep, pattern)
        groups = _groups(pattern, along)
        if out.suffix.lower() != ".npz":
            raise SpecError(
                Issue("--out: files of masks end in .npz", f"such as {out.stem or 'masks'}.npz", str(out))
            )
        check_outputs({"--out": out}, (str(checkpoint),))
        from procrustes_model.training.checkpoints import find_masks, read_checkpoint
        from procrustes_model.training.masks import save_masks

        found = read_checkpoint(checkpoint, entry)
        if network is not None:
            from procrustes_model.spec.load import load_network
            from procrustes_model.workloads.checkpoint_layers import layers_of

            found = layers_of(found, load_network(network))
        masks = find_masks(found, threshold=threshold, keep=keep, pattern=groups)
        save_masks(out, masks)
        if not quiet:
            from procrustes_model.report.terminal.masks import format_masks
            from procrustes_model.report.terminal.style import Style

            say(format_masks(masks.densities(), style=Style.of(sys.stdout)), styled=True)
            say("")
            print_written({"--out": out})


def _check_options(threshold: float | None, keep: float | None, pattern: str | None) -> None:
    options = {"--threshold": threshold, "--keep": keep, "--pattern": pattern}
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise SpecError(Issue(f"{given[0]} and {given[1]} are both given", "keep one of them"))
    if threshold is not None and not 0 <= threshold < float("inf"):
        raise SpecError(
            Issue(f"--threshold must be 0 or more, is {threshold:g}", "it is compared with magnitudes")
        )
    if keep is not None and not 0 < keep <= 1:
        hint = f"{keep:g} % is --keep {keep / 100:g}" if 1 < keep <= 100 else "such as 0.1 for a tenth"
        raise SpecError(Issue(f"--keep must be above 0 and at most 1, is {keep:g}", hint))


def _groups(pattern: str | None, along: str | None) -> NM | None:
    """Return what --pattern and --along mean.

    Raises
    ------
    SpecError
        When they are no pattern, or one is missing.
    """
    if pattern is None:
        if along is not None:
            raise SpecError(Issue("--along is of --pattern", "add --pattern 2:4"))
        return None
    from procrustes_model.training.patterns import NM

    found = re.fullmatch(r"([0-9]{1,4}):([0-9]{1,4})", pattern)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        message = f"--pattern must be n:m with n from 1 to m, is {quote(pattern)}"
        raise SpecError(Issue(message, "such as 2:4"))
    return NM(int(found[1]), int(found[2]), along or "C")


@app.command(name="show")
def show_command(
    masks: Annotated[Path, typer.Argument(metavar="FILE.npz", help="A file of masks.")],
    step: Annotated[
        int | None,
        typer.Option(
            help="The step whose layers are shown. Default: the last.", **number("--step", sign="N")
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE|-", help="Write a CSV: a row per step and layer; - to stdout."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE|-", help="Write everything as JSON; - to stdout.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Print the layers of a file of masks, their shapes and densities."""
    with reported_errors():
        from procrustes_model.cli.outputs import check_outputs, print_written, to_stdout, write_output
        from procrustes_model.report.tables.masks import masks_json, masks_text
        from procrustes_model.report.terminal.masks import format_masks
        from procrustes_model.report.terminal.style import Style
        from procrustes_model.training.masks import load_mask_densities

        outputs = {"--csv": csv, "--json": json}
        check_outputs(outputs, (str(masks),))
        found = load_mask_densities(masks)
        text = format_masks(found, step, Style.of(sys.stdout))
        silent = quiet or to_stdout(outputs)
        if not silent:
            say(text, styled=True)
        for path, write in ((csv, masks_text), (json, masks_json)):
            if path is not None:
                write_output(path, write(found))
        if any(outputs.values()) and not silent:
            say("")
            print_written(outputs)
