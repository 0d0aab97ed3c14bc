"""``procrustes import``: a network from an ONNX file, or, as a verb of its own, a design of Timeloop."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.import_timeloop import import_timeloop_command
from procrustes_model.cli.outputs import check_outputs, is_stdout, print_written
from procrustes_model.cli.say import say
from procrustes_model.cli.values import number
from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from procrustes_model.spec.network import Network


ONNX = "onnx"
"""The verb that is meant where none is named."""


class _OnnxUnlessNamed(TyperGroup):
    """Takes `import model.onnx` as `import onnx model.onnx`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in front where none stands there."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [ONNX, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_OnnxUnlessNamed,
    help="Import a network from an ONNX model (the verb 'onnx' may be left out), or a design of Timeloop.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command(name=ONNX)
def import_command(
    file: Annotated[str, typer.Argument(metavar="FILE.onnx", help="The ONNX model.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE|-", help="Write the network as YAML; - to stdout, the default."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Default: the file's name.")] = None,
    batch: Annotated[
        int | None,
        typer.Option(help="Samples per training step; default: the file's.", **number("--batch", least=1)),
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option(
            metavar="1x3x224x224", help="Shape of the first input, samples first, where the file leaves it."
        ),
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LENGTH",
            help="Length of an axis that the file names and leaves open; may be repeated.",
        ),
    ] = None,
    batch_axis: Annotated[
        int | None,
        typer.Option(
            help="The axis of the first input that counts samples; default: the first, as a rule.",
            **number("--batch-axis"),
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Leave out operators that are not supported, and list them.")
    ] = False,
) -> None:
    """Import the layers of an ONNX model as a network file.

    Convolutions (up to three axes, also transposed), fully connected and recurrent layers, matrix products,
    einsums and attention become layers, also as quantising tools write them. What has no multiplications,
    such as pooling or activation functions, is no layer; what multiplies and cannot be a layer is an error,
    or with --partial a line of output.
    """
    with reported_errors():
        check_outputs({"--out": out}, (file,))
        from procrustes_model.workloads.from_onnx import network_from_onnx

        if not Path(file).exists():
            from procrustes_model.spec.text.document import unreadable

            none = unreadable(file, FileNotFoundError())
            hint = "a shipped network needs no import" if _ships(file) else none.hint
            raise SpecError(replace(none, hint=hint))
        network = network_from_onnx(
            file,
            name=name,
            batch=batch,
            batch_axis=batch_axis,
            input_shape=_shape(input_shape),
            axes=_axes(axis or ()),
            partial=partial,
        )
        if out is None or is_stdout(out):
            say(network.to_yaml(), nl=False)
            return
        from procrustes_model.files import write_atomically

        write_atomically(out, network.to_yaml())
        say(_summary(network))
        print_written({"--out": out})


def _ships(name: str) -> bool:
    from procrustes_model.shipped import list_shipped

    return name in list_shipped("network")


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}([x,]\d{1,9})*", text):
        message = f"--input-shape must be sizes such as 1x3x224x224, is '{text[:60]}'"
        raise SpecError(Issue(message))
    return tuple(int(part) for part in re.split("[x,]", text))


def _axes(texts: Iterable[str]) -> dict[str, int]:
    """Return the lengths of axes with names, each from NAME=LENGTH."""
    lengths: dict[str, int] = {}
    for text in texts:
        name, _, length = text.rpartition("=")
        if not name or not re.fullmatch(r"\d{1,9}", length):
            raise SpecError(
                Issue(f"--axis must be a name and a length such as sequence=128, is '{text[:60]}'")
            )
        if lengths.setdefault(name, int(length)) != int(length):
            raise SpecError(Issue(f"--axis gives '{name[:60]}' two lengths, {lengths[name]} and {length}"))
    return lengths


def _summary(network: Network) -> str:
    from procrustes_model.report.terminal.units import format_count

    sizes = f"{_many(len(network.layers), 'layer')}, {_many(len(network.distinct), 'shape')}"
    work = f"{format_count(network.macs)} multiply-accumulates per sample"
    lines = [f"{network.name}: {sizes}, {work}, {format_count(network.weights)} weights"]
    if network.description:
        lines += [f"  {part}" for part in network.description.split("; ")]
    return "\n".join(lines)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


app.command(name="timeloop")(import_timeloop_command)
