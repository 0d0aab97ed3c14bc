"""From a layer to the three problems of training it: forward, backward (data gradient), weight update.

All three have the bounds of the forward phase, so that stride, dilation and padding are exact in each: no
product with an inserted zero is counted, and `Inputs` is the padded map. Published numbers often used
stride 1 at the output's size.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network_problem import ProblemLayer, result_names
from procrustes_model.spec.problem import Term
from procrustes_model.spec.stays import ENDS, STARTS
from procrustes_model.spec.widths import NO_BITS, Bits, bits_in_phase
from procrustes_model.vocabulary import PHASES, Phase, Role
from procrustes_model.workloads.phases import in_phase

if TYPE_CHECKING:
    from procrustes_model.spec.network import Layer, NetworkLayer
    from procrustes_model.spec.problem import Problem


def training_problem(
    layer: Layer, phase: Phase | str, *, batch: int = 1, network: str = "", as_published: bool = False
) -> Problem:
    """Return one training phase of a layer as a problem.

    Parameters
    ----------
    layer : NetworkLayer or ProblemLayer
    phase : str
        'forward', 'backward' or 'weight_update'.
    batch : int
        Samples per training step.
    network : str
        Put before the layer's name.
    as_published : bool
        Take stride and dilation as 1 at the output's size, and the backward phase in its gather form; a
        `ProblemLayer` stays as it is written.

    Returns
    -------
    Problem
        A product of two activations is a grouped problem, one group per sample and copy; its second operand
        is called Weights. So are tensors of a `ProblemLayer` called by their roles: Weights, Inputs, Outputs.

    Raises
    ------
    SpecError
        When the batch is not positive or the problem is too large.
    """
    from procrustes_model.spec.load import load_problem

    content = problem_content(layer, phase, batch=batch, network=network, as_published=as_published)
    return load_problem({"problem": content})


def problem_content(
    layer: Layer,
    phase: Phase | str,
    *,
    batch: int = 1,
    network: str = "",
    as_published: bool = False,
    shared: Bits = NO_BITS,
    part: Bits = NO_BITS,
) -> dict[str, Any]:
    """Return what a problem file of one training phase of a layer holds.

    Parameters
    ----------
    layer, phase, batch, network, as_published
        As `training_problem` takes them.
    shared : Bits
        What the network says of the bits of all layers.
    part : Bits
        What a part of a schedule says of them.
    """
    phase = Phase.parse(phase)
    content = _content(layer, phase, batch, network, as_published)
    said: dict[str, Any] = {"bits": bits_in_phase(phase, content.get("bits", {}), shared, layer.bits, part)}
    for key in (STARTS, ENDS):
        said[key] = {**content.get(key, {}), **getattr(layer, key).within(key, phase)}
    return {**content, **{key: one for key, one in said.items() if one}}


def problem_name(layer: Layer, phase: Phase, network: str) -> str:
    """Return what the problem of one phase of a layer is called."""
    where = f"{network}/" if network else ""
    return f"{where}{layer.name}_{phase.short}"


def alike(layer: Layer) -> Layer:
    """Return what is the same of layers that differ in their name alone."""
    return layer.model_copy(update={"name": "-"})


def _content(layer: Layer, phase: Phase, batch: int, network: str, as_published: bool) -> dict[str, Any]:
    """Return the same with what a `ProblemLayer`'s problem says of tensors, and nothing else of them."""
    if batch < 1:
        raise SpecError(Issue(f"a batch has at least one sample, is {batch}"))
    name = problem_name(layer, phase, network)
    if isinstance(layer, ProblemLayer):
        own = in_phase(_of_batch(layer, batch), phase)
        return {**own.to_dict(), "name": name}
    shape, dimensions = _bounds(layer, batch)
    spatial = shape in ("conv", "grouped", "depthwise")
    coefficients = {}
    if spatial and not as_published:
        coefficients = {
            "stride_h": layer.stride[0],
            "stride_w": layer.stride[1],
            "dilation_h": layer.dilation[0],
            "dilation_w": layer.dilation[1],
        }
    suffix = phase.suffix
    if as_published and shape == "conv" and phase == Phase.BACKWARD:
        suffix = "_backward_gather"
    content: dict[str, Any] = {
        "name": name,
        "shape": shape + suffix,
        "dimensions": dimensions,
    }
    if coefficients:
        content["coefficients"] = coefficients
    return content


def training_problems(
    layer: Layer, *, batch: int = 1, network: str = "", as_published: bool = False
) -> dict[Phase, Problem]:
    """Return all training phases of a layer; see `training_problem`."""
    return {
        phase: training_problem(layer, phase, batch=batch, network=network, as_published=as_published)
        for phase in PHASES
    }


def _of_batch(layer: ProblemLayer, batch: int) -> Problem:
    """Return the forward phase of a layer for a batch, its tensors called by their roles.

    A batch that no dimension counts is a new one, N, of the input and the output: all samples have the same
    weights. Of two activations each sample and each copy has its own: they are groups, G, as of a matmul.
    """
    roles = {name: role for role, name in layer.roles.items()}
    called = result_names(layer.problem)
    dimensions = dict(layer.problem.dimensions)
    added: dict[str, frozenset[Role | None]] = {}
    copies = layer.count
    if layer.batch_dimension is not None:
        dimensions[layer.batch_dimension] *= batch
    elif layer.has_weights:
        name = _free_name(("N", "batch"), dimensions)
        dimensions[name], added[name] = batch, frozenset({Role.INPUT, Role.OUTPUT})
    else:
        copies *= batch
    if not layer.has_weights and (layer.batch_dimension is None or copies > 1):
        name = _free_name(("G", "copies"), dimensions)
        dimensions[name], added[name] = copies, frozenset(Role)
    tensors = []
    for tensor in layer.problem.tensors:
        role = roles.get(tensor.name)
        ranks = tuple((Term(dimension=name),) for name, of in added.items() if role in of) + tensor.ranks
        own = {"ranks": ranks, "role": role, "name": called[tensor.name]}
        tensors.append(tensor.model_copy(update=own))
    bits = {called[name]: own for name, own in layer.problem.bits.items()}
    update = {"dimensions": dimensions, "tensors": tuple(tensors), "bits": bits}
    return layer.problem.model_copy(update=update)


def _free_name(wanted: tuple[str, ...], taken: Container[str]) -> str:
    """Return the first of the names that is not taken, or the last with as many underscores as it needs."""
    free = next((name for name in wanted if name not in taken), wanted[-1])
    while free in taken:
        free += "_"
    return free


def _bounds(layer: NetworkLayer, batch: int) -> tuple[str, dict[str, int]]:
    """Return a layer's shape and the bounds of its dimensions."""
    height, width = layer.output_size
    window = {"R": layer.kernel[0], "S": layer.kernel[1], "P": height, "Q": width}
    if layer.kind == "depthwise":
        return "depthwise", {**window, "C": layer.in_channels, "N": batch}
    channels = {"C": layer.in_channels // layer.groups, "K": layer.out_channels // layer.groups}
    if layer.kind == "matmul" and not layer.has_weights:
        one = {"R": 1, "S": 1, "P": 1, "Q": 1}
        return "grouped", {**one, **channels, "N": layer.rows, "G": batch * layer.count}
    if layer.kind in ("fully_connected", "matmul"):
        return "fully_connected", {**channels, "N": batch * layer.rows}
    if layer.groups > 1:
        return "grouped", {**window, **channels, "N": batch, "G": layer.groups}
    return "conv", {**window, **channels, "N": batch}
