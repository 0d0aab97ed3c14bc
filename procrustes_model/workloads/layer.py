"""From a layer to the three problems of training it: forward, backward (data gradient), weight update.

All three have the bounds of the forward phase, so that stride, dilation and padding are exact in each: no
product with an inserted zero is counted, and `Inputs` is the padded map. Published numbers often used
stride 1 at the output's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from procrustes_model.errors import Issue, SpecError
from procrustes_model.vocabulary import PHASES, Phase

if TYPE_CHECKING:
    from procrustes_model.spec.network import NetworkLayer
    from procrustes_model.spec.problem import Problem


def training_problem(
    layer: NetworkLayer, phase: Phase | str, *, batch: int = 1, network: str = "", as_published: bool = False
) -> Problem:
    """Return one training phase of a layer as a problem.

    Parameters
    ----------
    layer : NetworkLayer
    phase : str
        'forward', 'backward' or 'weight_update'.
    batch : int
        Samples per training step.
    network : str
        Put before the layer's name.
    as_published : bool
        Take stride and dilation as 1 at the output's size, and the backward phase in its gather form.

    Returns
    -------
    Problem
        A product of two activations is a grouped problem, one group per sample and copy; its second operand
        is called Weights.

    Raises
    ------
    SpecError
        When the batch is not positive or the problem is too large.
    """
    from procrustes_model.spec.load import load_problem

    content = problem_content(layer, phase, batch=batch, network=network, as_published=as_published)
    return load_problem({"problem": content})


def problem_content(
    layer: NetworkLayer, phase: Phase | str, *, batch: int = 1, network: str = "", as_published: bool = False
) -> dict[str, Any]:
    """Return what a problem file of one training phase of a layer holds; see `training_problem`."""
    phase = Phase.parse(phase)
    if batch < 1:
        raise SpecError(Issue(f"a batch has at least one sample, is {batch}"))
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
    where = f"{network}/" if network else ""
    content: dict[str, Any] = {
        "name": f"{where}{layer.name}_{phase.short}",
        "shape": shape + suffix,
        "dimensions": dimensions,
    }
    if coefficients:
        content["coefficients"] = coefficients
    return content


def training_problems(
    layer: NetworkLayer, *, batch: int = 1, network: str = "", as_published: bool = False
) -> dict[Phase, Problem]:
    """Return all training phases of a layer; see `training_problem`."""
    return {
        phase: training_problem(layer, phase, batch=batch, network=network, as_published=as_published)
        for phase in PHASES
    }


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
