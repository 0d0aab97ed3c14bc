"""``procrustes import``: a network from an ONNX file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from procrustes_model.cli.errors import reported_errors
from procrustes_model.cli.outputs import check_outputs, print_written
from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError

if TYPE_CHECKING:
    from procrustes_model.spec.network import Network


def import_command(
    file: Annotated[str, typer.Argument(metavar="FILE.onnx", help="The ONNX model.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the network here, not to standard output.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Default: the file's name.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Samples per training step; default: the file's.")
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option(
            metavar="1x3x224x224", help="Shape of the first input, samples first, where the file leaves it."
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Leave out operators that are not supported, and list them.")
    ] = False,
) -> None:
    """Import the layers of an ONNX model as a network file.

    Convolutions (one or two axes, groups, stride, dilation, padding), fully connected layers and matrix
    products become layers. What has no multiplications, such as pooling or activation functions, is no
    layer; what multiplies and cannot be a layer is an error, or with --partial a line of output.
    """
    with reported_errors():
        check_outputs({"--out": out}, (file,))
        from procrustes_model.workloads.from_onnx import network_from_onnx

        if not Path(file).is_file():
            hint = "a shipped network needs no import" if _ships(file) else None
            raise SpecError(Issue("no such file", hint, file))
        network = network_from_onnx(
            file, name=name, batch=batch, input_shape=_shape(input_shape), partial=partial
        )
        if out is None:
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
