"""A recorder that watches a PyTorch model train: weight masks, densities of activations and gradients.

    with Recorder(model, optimizer, every=100) as recorder:
        ...                                        # the training loop as it is
    save_masks("masks.npz", recorder.result())

The layout of the file is described in `procrustes_model.training.masks`. Needs the optional dependency torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from procrustes_model.training.masks import LayerMasks, MaskFile
from procrustes_model.training.operand_masks import OPERANDS, gather
from procrustes_model.training.recorded_layer import RecordedLayer, Row
from procrustes_model.training.torch_library import torch
from procrustes_model.training.watch import Watch

_UNKNOWN = Row(None, float("nan"), float("nan"), float("nan"))


class Recorder:
    """Record the layers of a model at chosen steps of its optimizer.

    Recorded is what a step computes with: the operands that convolutions and matrix products receive in all
    forward and backward passes in training mode since the step before. Weights are seen as they are
    multiplied with: masked, parametrized, pruned, cast or normalised ones are not those that the module
    keeps. Gradients are seen as they are multiplied with, after all that prunes them on the way.

    Layers are convolutions and fully connected ones, and whatever other modules multiply activations with
    that is computed of parameters alone. A layer has the name of the module that keeps its parameters; of
    several such in one module, each has the name of its parameter too. Passes of a step are counted together,
    those of replicas (torch.nn.DataParallel) and of a module that is called several times, too: densities are
    of all elements received, and a weight is not zero if it is not zero in any of the passes.

    What no product received is unknown, NaN: gradients of frozen layers, or weights of a layer that did not
    run. Those of a plain one, which multiplies with its parameter as it is, are known all the same.

    Weights that a Function's backward pass multiplies with in place of those of its forward pass are recorded
    as an operand of their own.

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
    operands : bool
        Record also which elements of inputs, and of gradients of outputs, are not zero, as far as each layer
        has one product of its kind in a step. They may be much larger than weights.

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
        operands: bool = False,
    ) -> None:
        if every is None and not steps:
            raise ValueError("choose what to record: every=100, or steps=[...]")
        if every is not None and every < 1:
            raise ValueError(f"every={every} must be 1 or more")
        self._every, self._chosen = every, frozenset(steps)
        self._optimizer = optimizer
        self._step = 0
        self._recorded: list[int] = []
        self._is_open = True
        self._watch = Watch(model, self._is_chosen, operands=operands)
        if not self._watch.layers() and not list(model.parameters()):
            raise ValueError("the model has no convolution and no fully connected layer, and no parameters")
        self._handle: Any = optimizer.register_step_pre_hook(self._before_step)
        self._watch.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching. What was recorded stays."""
        self._is_open = False
        self._handle.remove()
        self._watch.stop()

    def result(self) -> MaskFile:
        """Return what was recorded so far."""
        layers = self._watch.layers()
        places = Counter(layer.place for layer in layers)
        masks = tuple(self._masks(layer, alone=places[layer.place] == 1) for layer in layers)
        return MaskFile(masks, tuple(self._recorded), type(self._optimizer).__name__, _notes(masks))

    def _masks(self, layer: RecordedLayer, *, alone: bool) -> LayerMasks:
        """Return what was recorded of a layer; it has the module's name where that has no other one."""
        name = layer.place if alone or layer.is_main else f"{layer.place}.{layer.tensor}".lstrip(".")
        rows = [layer.rows.get(row, _UNKNOWN) for row in range(len(self._recorded))]
        shape = layer.shape
        masks = np.zeros((len(rows), *shape), np.bool_)
        known = np.zeros(len(rows), np.bool_)
        for number, row in enumerate(rows):
            if row.mask is not None and row.mask.shape == shape:
                masks[number], known[number] = row.mask, True
        storage, inputs, gradients = np.array([row[1:4] for row in rows]).reshape(len(rows), 3).T.copy()
        weights = [mask if is_known else None for mask, is_known in zip(masks, known, strict=True)]
        operands = gather([row.operands for row in rows], weights)
        return LayerMasks(name or layer.tensor, masks, storage, inputs, gradients, known, operands)

    def _is_chosen(self) -> bool:
        """Return whether the step in work is one to record."""
        chosen = self._step in self._chosen or (self._every is not None and self._step % self._every == 0)
        return self._is_open and chosen

    def _before_step(self, *_: Any) -> None:
        """Record the step in work if it is chosen."""
        if self._is_chosen():
            states = self._optimizer.state
            for layer in self._watch.layers():
                tracked = (states.get(held, {}).get("tracked") for held in layer.held)
                layer.record(len(self._recorded), next((one for one in tracked if one is not None), None))
            self._recorded.append(self._step)
        self._watch.end_step()
        self._step += 1


def _notes(layers: Sequence[LayerMasks]) -> tuple[str, ...]:
    """Return which operands of how many layers were recorded beside the weights, a sentence each."""
    notes = []
    for operand in OPERANDS:
        number = sum(operand in layer.operands for layer in layers)
        if number:
            phase, tensor = operand[0].replace("_", " "), operand[1]
            notes.append(
                f"Masks of {tensor} in the {phase} product: {number} layer{'s' if number > 1 else ''}."
            )
    return tuple(notes)
