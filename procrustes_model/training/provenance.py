"""Where tensors come from while a model is watched: from weights of layers alone, or from what flows through.

Followed are storages, not tensors: views keep them, and so do tensors that autograd saves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from torch.multiprocessing.reductions import StorageWeakRef

from procrustes_model.training.torch_library import torch

Sources = frozenset[Any]
"""The layers whose weights a tensor is computed of."""

NOTHING: Sources = frozenset()


def storage_of(tensor: torch.Tensor) -> Any:
    """Return a reference to what holds the values of a tensor, None where nothing can be referred to.

    It keeps no values alive, but while it is there no other storage can be taken for this one.
    """
    try:
        if tensor.layout is torch.sparse_coo:
            tensor = tensor._values()
        elif tensor.layout is not torch.strided:
            tensor = tensor.values()
        return StorageWeakRef(tensor.untyped_storage())
    except (NotImplementedError, RuntimeError):
        return None


class Provenance:
    """Knows which tensors are computed of weights alone, and which of activations or gradients too.

    Of a tensor with neither nothing is known: it may be a fixed mask as well as noise.
    """

    def __init__(self) -> None:
        self._held: dict[Any, Sources] = {}
        self._computed: dict[Any, Sources] = {}
        self._flowing: set[Any] = set()

    def hold(self, tensor: torch.Tensor, layer: Any = None) -> None:
        """Note what a module holds, weights of a layer or a buffer: it stays that, whatever is written."""
        storage = storage_of(tensor)
        if storage is not None:
            found = self._held.get(storage, NOTHING)
            self._held[storage] = found if layer is None else found | {layer}

    def compute(self, tensor: torch.Tensor, layer: Any) -> None:
        """Note what is computed of a layer's weights alone, until something else is written there."""
        storage = storage_of(tensor)
        if storage is not None and storage not in self._held:
            self._computed[storage] = self._computed.get(storage, NOTHING) | {layer}

    def flow(self, tensors: Iterable[torch.Tensor]) -> None:
        """Note activations or gradients."""
        for tensor in tensors:
            storage = storage_of(tensor)
            if storage is not None and storage not in self._held:
                self._flowing.add(storage)
                self._computed.pop(storage, None)

    def give(self, tensors: Iterable[torch.Tensor]) -> None:
        """Note what a module is called with: activations, unless it is computed of weights."""
        self.flow(one for one in tensors if not self.sources(one))

    def sources(self, tensor: torch.Tensor) -> Sources:
        """Return the layers whose weights alone a tensor is computed of."""
        storage = storage_of(tensor)
        return self._held.get(storage) or self._computed.get(storage, NOTHING)

    def flows(self, tensor: torch.Tensor, given: Collection[Any] = ()) -> bool:
        """Return whether a tensor is computed of activations or gradients.

        Parameters
        ----------
        tensor : torch.Tensor
        given : collection of storages
            Taken for activations, too.
        """
        storage = storage_of(tensor)
        return storage in self._flowing or storage in given

    def pass_on(
        self,
        arguments: Iterable[torch.Tensor],
        results: Iterable[torch.Tensor],
        given: Collection[Any] = (),
    ) -> None:
        """Note of results what is known of the arguments they are computed of."""
        arguments = list(arguments)
        if any(self.flows(one, given) for one in arguments):
            self.flow(results)
            return
        sources = NOTHING.union(*map(self.sources, arguments))
        if not sources:
            return
        for result in results:
            storage = storage_of(result)
            if storage is not None and storage not in self._held and storage not in self._flowing:
                self._computed[storage] = self._computed.get(storage, NOTHING) | sources

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()
        self._computed.clear()
        self._flowing.clear()
