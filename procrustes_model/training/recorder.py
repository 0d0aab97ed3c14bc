"""A recorder that watches a PyTorch model train: weight masks, densities of activations and gradients.

    with Recorder(model, optimizer, every=100) as recorder:
        ...                                        # the training loop as it is
    save_masks("masks.npz", recorder.result())

The layout of the file is described in `procrustes_model.training.masks`. Needs the optional dependency torch.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np

from procrustes_model.training.masks import LayerMasks, MaskFile
from procrustes_model.training.torch_library import torch

_LAYERS = (
    torch.nn.Linear,
    torch.nn.Conv1d,
    torch.nn.Conv2d,
    torch.nn.Conv3d,
    torch.nn.ConvTranspose1d,
    torch.nn.ConvTranspose2d,
    torch.nn.ConvTranspose3d,
)


@dataclass
class _Counted:
    """Elements, and those that are not zero, since the last step."""

    found: int = 0
    elements: int = 0

    def add(self, tensor: torch.Tensor) -> None:
        """Count the elements of a tensor too."""
        self.found += int(torch.count_nonzero(tensor))
        self.elements += tensor.numel()

    def take(self) -> float:
        """Return the density, NaN of nothing, and start anew."""
        density = self.found / self.elements if self.elements else float("nan")
        self.found = self.elements = 0
        return density


@dataclass
class _Layer:
    """A layer that is watched."""

    name: str
    weight: torch.Tensor
    inputs: _Counted = field(default_factory=_Counted)
    gradients: _Counted = field(default_factory=_Counted)
    rows: list[tuple[Any, float, float, float]] = field(default_factory=list)


class Recorder:
    """Record the layers of a model at chosen steps of its optimizer.

    Recorded is what a step computes with: the weights before the optimizer changes them, the inputs of every
    layer and the gradients of its outputs, over all forward and backward passes in training mode since the
    step before. Layers are convolutions and fully connected ones.

    Parameters
    ----------
    model : torch.nn.Module
    optimizer : torch.optim.Optimizer
        Its steps are counted, from 0. Of a ProcrustesSGD, the storage density is that of the weights it
        tracks.
    every : int, optional
        Record each step whose number it divides.
    steps : collection of int, optional
        Record these steps, in addition.

    Raises
    ------
    ValueError
        When no step is chosen, or the model has no layer to record.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        every: int | None = None,
        steps: Collection[int] = (),
    ) -> None:
        if every is None and not steps:
            raise ValueError("choose what to record: every=100, or steps=[...]")
        if every is not None and every < 1:
            raise ValueError(f"every={every} must be 1 or more")
        self._every, self._chosen = every, frozenset(steps)
        self._optimizer = optimizer
        self._step = 0
        self._recorded: list[int] = []
        modules = [(name, one) for name, one in model.named_modules() if isinstance(one, _LAYERS)]
        if not modules:
            raise ValueError("the model has no convolution and no fully connected layer")
        self._layers = [_Layer(name or "weight", module.weight) for name, module in modules]
        self._handles: list[Any] = [optimizer.register_step_pre_hook(self._before_step)]
        for layer, (_, module) in zip(self._layers, modules, strict=True):
            self._handles.append(module.register_forward_hook(self._forward_hook(layer)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching. What was recorded stays."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def result(self) -> MaskFile:
        """Return what was recorded so far."""
        layers = []
        for layer in self._layers:
            masks, *densities = zip(*layer.rows, strict=True) if layer.rows else ((), (), (), ())
            stacked = np.array(masks, np.bool_).reshape(len(masks), *layer.weight.shape)
            layers.append(
                LayerMasks(layer.name, stacked, *(np.array(values, np.float64) for values in densities))
            )
        return MaskFile(tuple(layers), tuple(self._recorded), type(self._optimizer).__name__)

    def _is_chosen(self) -> bool:
        """Return whether the step in work is one to record."""
        return self._step in self._chosen or (self._every is not None and self._step % self._every == 0)

    def _forward_hook(self, layer: _Layer) -> Any:
        """Return the hook that counts a layer's inputs, and has the gradients of its outputs counted."""

        def count(module: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if not (module.training and torch.is_grad_enabled() and self._is_chosen()):
                return
            layer.inputs.add(inputs[0].detach())
            if output.requires_grad:
                output.register_hook(layer.gradients.add)

        return count

    def _before_step(self, *_: Any) -> None:
        """Record the step in work if it is chosen."""
        if self._is_chosen():
            states = self._optimizer.state
            for layer in self._layers:
                weight = layer.weight.detach()
                mask = (weight != 0).to("cpu").numpy()
                tracked = states.get(layer.weight, {}).get("tracked")
                # Before the first step nothing is tracked: all weights still are their initial values.
                stored = mask.mean() if tracked is None else float(tracked.double().mean())
                layer.rows.append((mask, float(stored), layer.inputs.take(), layer.gradients.take()))
            self._recorded.append(self._step)
        self._step += 1
