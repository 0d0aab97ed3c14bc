"""Networks from ONNX files: nodes that multiply, with the shapes that inference gives them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from procrustes_model.workloads.imports import Collector
from procrustes_model.workloads.onnx_file import close_inputs, load_model, onnx_library

if TYPE_CHECKING:
    from procrustes_model.spec.network import Network
    from procrustes_model.workloads.onnx_file import Shape
    from procrustes_model.workloads.onnx_graph import Reader


def network_from_onnx(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    batch: int | None = None,
    batch_axis: int | None = None,
    input_shape: Sequence[int] | None = None,
    axes: Mapping[str, int] | None = None,
    partial: bool = False,
) -> Network:
    """Return the layers that multiply in an ONNX file, with their shapes, in the order of the file.

    Only shapes are read: weights in files beside it are not, and nothing in the file is run. Biases,
    normalisation, pooling and elementwise products are no layers.

    Parameters
    ----------
    path : path
    name : str, optional
        The file's name where it is not given.
    batch : int, optional
        Samples per training step that the network is to have; those of the first input where it is not
        given, 1 where that leaves them open.
    batch_axis : int, optional
        Which axis of the first input counts samples. Where it is not given: one that the file names like a
        batch; otherwise the first one, or the second one of a sequence that goes to a recurrent operator as
        it is. Where the work of a layer is no multiple of that axis, the whole input is one sample.
    input_shape : sequence of int, optional
        Shape of the first input with its samples, where the file leaves axes open other than these.
    axes : mapping of str to int, optional
        Lengths of axes that the file names and leaves open, of any input.
    partial : bool
        Leave out operators that cannot be layers, such as those of other domains, and list them in the
        network's description, instead of raising.

    Returns
    -------
    Network
        Layers are named like the parameters that are their weights, without ``.weight``; where an exporter
        folded these, like the bias or the module whose code the node comes from; or like their nodes.

    Raises
    ------
    SpecError
        When the file is no ONNX, a shape is not known, or an operator is not supported: with all of them.
    OSError
        When the file cannot be read.
    """
    file = str(path)
    onnx = onnx_library()
    model = load_model(path, file)
    first, counted, lengths = close_inputs(model, input_shape, axes or {}, batch_axis, file)
    reader, samples = _read(onnx, model, first, counted, lengths, file, choose=batch_axis is None)
    number = first[samples] if first and samples is not None else 1
    source = f"imported from {Path(file).name}"
    if model.producer_name:
        source += f", written by {model.producer_name} {model.producer_version}".rstrip()
    if samples is None:
        source += "; one sample is the whole input"
    return reader.collector.network(
        name or Path(file).stem,
        source=source,
        shape=() if samples is None else (*first[:samples], *first[samples + 1 :]),
        batch=batch or number,
        partial=partial,
        file=file,
        other_tensors=reader.unused(),
        tied_tensors=reader.namer.tied,
    )


def _read(
    onnx: Any,
    model: Any,
    first: Shape,
    samples: int | None,
    lengths: dict[str, int],
    file: str,
    *,
    choose: bool,
) -> tuple[Reader, int | None]:
    """Return the graph as it was read, and which axis counts samples, None where none does."""
    from procrustes_model.workloads.onnx_call import AcrossSamplesError
    from procrustes_model.workloads.onnx_graph import Reader

    def read(axis: int | None) -> Reader:
        collector = Collector(batch=first[axis] if first and axis is not None else 1)
        reader = Reader(onnx, model, collector, lengths, file)
        reader.read()
        return reader

    try:
        reader = read(samples)
        if choose and samples == 0 and reader.operators.sequences == {first[:2]} and first[0] != first[1]:
            samples = 1
            reader = read(samples)
    except AcrossSamplesError:
        samples = None
        reader = read(samples)
    return reader, samples
