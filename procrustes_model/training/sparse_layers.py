"""Layers whose products are given less than all of their operands, and a schedule of what they are given.

    use_operands(model, Operands(forward_weights=NM(2, 4), decay=2e-4))

Needs the optional dependency torch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from procrustes_model.training.operands import KINDS, Operands, list_parts
from procrustes_model.training.patterns import NM
from procrustes_model.training.three_products import Convolution, MatrixProduct, ThreeProducts
from procrustes_model.training.torch_library import torch

_functional = torch.nn.functional


class SparseLinear(torch.nn.Linear):  # type: ignore[misc]  # torch is optional: nothing is known of it
    """A fully connected layer with `operands`; `use_operands` makes it of a plain one."""

    operands: Operands

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Run forward."""
        rows = inputs.reshape(-1, inputs.shape[-1])
        outputs = ThreeProducts.apply(rows, self.weight, MatrixProduct(), self.operands)
        outputs = outputs.reshape(*inputs.shape[:-1], outputs.shape[-1])
        return outputs if self.bias is None else outputs + self.bias

    def extra_repr(self) -> str:
        """Return what its line in a printed model says."""
        return f"{super().extra_repr()}, operands={self.operands}"


class _SparseConvolution:
    """What the sparse convolutions share."""

    operands: Operands

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Run forward."""
        layer: Any = self
        ranks = len(layer.kernel_size)
        images = inputs if inputs.dim() == ranks + 2 else inputs.unsqueeze(0)
        padding = layer.padding
        if layer.padding_mode != "zeros" or isinstance(padding, str):
            mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
            images = _functional.pad(images, layer._reversed_padding_repeated_twice, mode=mode)
            padding = (0,) * ranks
        product = Convolution(layer.stride, padding, layer.dilation, layer.groups)
        outputs = ThreeProducts.apply(images, layer.weight, product, layer.operands)
        if layer.bias is not None:
            outputs = outputs + layer.bias.reshape(-1, *(1,) * ranks)
        return outputs if inputs.dim() == ranks + 2 else outputs.squeeze(0)

    def extra_repr(self) -> str:
        """Return what its line in a printed model says."""
        layer: Any = super()
        return f"{layer.extra_repr()}, operands={self.operands}"


class SparseConv1d(_SparseConvolution, torch.nn.Conv1d):  # type: ignore[misc]
    """A convolution over one dimension with `operands`."""


class SparseConv2d(_SparseConvolution, torch.nn.Conv2d):  # type: ignore[misc]
    """A convolution over two dimensions with `operands`."""


class SparseConv3d(_SparseConvolution, torch.nn.Conv3d):  # type: ignore[misc]
    """A convolution over three dimensions with `operands`."""


_CLASSES: dict[Any, Any] = {
    torch.nn.Linear: SparseLinear,
    torch.nn.Conv1d: SparseConv1d,
    torch.nn.Conv2d: SparseConv2d,
    torch.nn.Conv3d: SparseConv3d,
}


def use_operands(
    model: torch.nn.Module, operands: Operands, *, leave_out: Collection[str] = (), min_channels: int = 1
) -> list[str]:
    """Have the convolutions and fully connected layers of a model multiply with less, from now on.

    Parameters, their names and the model's state_dict stay as they are.

    Parameters
    ----------
    model : torch.nn.Module
    operands : Operands
        What their products are given. ``Operands()`` is all, as usual.
    leave_out : collection of str
        Names of layers that stay as they are.
    min_channels : int
        Layers with fewer input channels stay as they are, too.

    Returns
    -------
    list of str
        The layers that multiply with less.

    Raises
    ------
    ValueError
        When a name is no such layer's, a layer has a class of its own, none is left, or groups of a pattern
        would run through several groups of a convolution.

    Notes
    -----
    Layers that are compiled, or called through functions of their own, keep what these do.
    """
    modules: dict[str, Any] = {
        name: module for name, module in model.named_modules() if isinstance(module, tuple(_CLASSES))
    }
    unknown = [name for name in leave_out if name not in modules]
    if unknown:
        raise ValueError(f"no convolution or fully connected layer: {', '.join(unknown)}")
    chosen = {
        name: module
        for name, module in modules.items()
        if name not in leave_out and channels_of(module) >= min_channels
    }
    if not chosen:
        raise ValueError("no layer is left that could multiply with less")
    for name, module in chosen.items():
        _check(name, module, operands)
    for module in chosen.values():
        module.__class__ = _CLASSES.get(type(module), type(module))
        module.operands = operands
    return list(chosen)


def channels_of(module: torch.nn.Module) -> int:
    """Return the input channels of a layer."""
    return int(module.in_features if isinstance(module, torch.nn.Linear) else module.in_channels)


def _check(name: str, module: torch.nn.Module, operands: Operands) -> None:
    """Raise ValueError where a layer cannot be given these operands."""
    kind = type(module)
    if kind not in _CLASSES and kind not in _CLASSES.values():
        raise ValueError(
            f"layer '{name}' is a {kind.__name__}, which computes in a way of its own: leave it out"
        )
    groups = getattr(module, "groups", 1)
    if groups == 1:
        return
    sides = {"K": ("output", module.out_channels // groups), "C": ("input", module.in_channels // groups)}
    for field, tensor in KINDS.items():
        for part in list_parts(getattr(operands, field)):
            # The input channels of weights are those of one group.
            if (
                not isinstance(part, NM)
                or part.along not in sides
                or (tensor, part.along) == ("weights", "C")
            ):
                continue
            word, side = sides[part.along]
            if side % part.group:
                raise ValueError(
                    f"layer '{name}' has {side} {word} channels in each of its {groups} groups, which groups "
                    f"of {part.group} along {part.along} do not divide: leave it out"
                )


class OperandSchedule:
    """Changes what the products of a model are given, part by part; used as learning rate schedulers are.

    Parameters
    ----------
    model : torch.nn.Module
    parts : sequence of (int, Operands)
        Iterations of each part, and what products are given in it. After the last part it stays.
    leave_out, min_channels
        As `use_operands` takes them.

    Raises
    ------
    ValueError
        When there is no part, one has no iteration, or as `use_operands` says.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        parts: Sequence[tuple[int, Operands]],
        *,
        leave_out: Collection[str] = (),
        min_channels: int = 1,
    ) -> None:
        if not parts or any(iterations < 1 for iterations, _ in parts):
            raise ValueError("a schedule has parts of one iteration or more")
        self._model, self._parts = model, tuple(parts)
        self._choice: dict[str, Any] = {"leave_out": tuple(leave_out), "min_channels": min_channels}
        self.iteration = 0
        for _, operands in self._parts[::-1]:
            use_operands(model, operands, **self._choice)

    @property
    def operands(self) -> Operands:
        """What products are given now."""
        end = 0
        for iterations, operands in self._parts:
            end += iterations
            if self.iteration < end:
                return operands
        return self._parts[-1][1]

    def step(self) -> None:
        """Go on by one iteration; call it after the optimizer's step."""
        before = self.operands
        self.iteration += 1
        if self.operands != before:
            use_operands(self._model, self.operands, **self._choice)

    def state_dict(self) -> dict[str, Any]:
        """Return where the schedule stands."""
        return {"iteration": self.iteration}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where another schedule of the same parts stood."""
        self.iteration = int(state_dict["iteration"])
        use_operands(self._model, self.operands, **self._choice)
