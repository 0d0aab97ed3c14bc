"""Networks of two fully connected layers, made sparse in the ways that libraries and papers do it.

Each function returns the network and a function that computes by hand what its products multiply with. Needs
torch: imported in tests only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune

Network = tuple[Any, Callable[[Any], list[Any]]]


def kept(weights: Any, of: int = 4, keep: int = 2) -> Any:
    """Return a mask of the `keep` largest of every `of` weights."""
    groups = weights.detach().abs().reshape(-1, of)
    mask = torch.zeros_like(groups).scatter_(1, groups.argsort(1)[:, of - keep :], 1)
    return mask.reshape(weights.shape)


def straight_through(weights: Any) -> Any:
    """Return masked weights, whose gradients reach all weights."""
    return weights + (weights * kept(weights) - weights).detach()


class Masking(nn.Module):
    """A parametrization, or a module that is called with weights."""

    def forward(self, weights: Any) -> Any:
        """Run forward."""
        return straight_through(weights)


class MaskedWeights(torch.autograd.Function):
    """Masked weights with a decay of the others, as SR-STE has them."""

    @staticmethod
    def forward(ctx: Any, weights: Any) -> Any:
        """Run forward."""
        ctx.save_for_backward(weights)
        return weights * kept(weights)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        """Run backward."""
        (weights,) = ctx.saved_tensors
        return gradient + 2e-4 * (1 - kept(weights)) * weights


class Linear(nn.Linear):
    """A layer that computes its weights by a function."""

    def __init__(self, compute: Callable[[Any], Any], *sides: int) -> None:
        super().__init__(*sides, bias=False)
        self.compute = compute

    def forward(self, inputs: Any) -> Any:
        """Run forward."""
        return functional.linear(inputs, self.compute(self.weight))


class Times(nn.Module):
    """A module that is called with weights and a fixed mask."""

    def forward(self, weights: Any, mask: Any) -> Any:
        """Run forward."""
        return weights * mask


class Product(nn.Module):
    """A module of no known kind, with weights [C, K] and a buffer of what is kept."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(inputs, outputs))
        self.register_buffer("mask", kept(self.kernel))
        self.times = Times()

    def forward(self, inputs: Any) -> Any:
        """Run forward."""
        return inputs @ self.times(self.kernel, self.mask)


class Around(nn.Module):
    """A module that multiplies with the weights of another one, which is never called."""

    def __init__(self, *sides: int) -> None:
        super().__init__()
        self.inner = nn.Linear(*sides, bias=False)
        self.masking = Masking()

    def forward(self, inputs: Any) -> Any:
        """Run forward."""
        return functional.linear(inputs, weight=self.masking(self.inner.weight * 1))


class Values(nn.Module):
    """A module that keeps only the weights that are not zero, and scatters them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.places = torch.randperm(inputs * outputs)[: inputs * outputs // 3]
        self.values = nn.Parameter(torch.randn(len(self.places)))
        self.sides = (outputs, inputs)

    def weight(self) -> Any:
        """Return the weights, [K, C]."""
        flat = torch.zeros(self.sides, dtype=self.values.dtype).flatten()
        return flat.index_put((self.places,), self.values).reshape(self.sides)

    def forward(self, inputs: Any) -> Any:
        """Run forward."""
        return functional.linear(inputs, self.weight())


class PrunedGradients(torch.autograd.Function):
    """A product that prunes gradients for that of the inputs, not for that of the weights, as SDGP does."""

    @staticmethod
    def forward(ctx: Any, inputs: Any, weights: Any) -> Any:
        """Run forward."""
        ctx.save_for_backward(inputs, weights)
        return inputs @ weights.t()

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        """Run backward."""
        inputs, weights = ctx.saved_tensors
        return (gradient * kept(gradient)) @ weights, gradient.t() @ inputs


class PruningLinear(nn.Linear):
    """A layer with pruned gradients."""

    def forward(self, inputs: Any) -> Any:
        """Run forward."""
        return PrunedGradients.apply(inputs, self.weight)


class PruningHook(nn.Linear):
    """A layer that prunes the gradients of its outputs by a hook on them, in place of it."""

    def forward(self, inputs: Any) -> Any:
        """Run forward."""
        result = super().forward(inputs)
        result.register_hook(lambda gradient: gradient * kept(gradient))
        # In place: the result is not the product's any more.
        return result.mul_(1)


class PruningIdentity(torch.autograd.Function):
    """Nothing forward, pruned gradients backward."""

    @staticmethod
    def forward(ctx: Any, inputs: Any) -> Any:  # noqa: ARG004
        """Run forward."""
        return inputs.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:  # noqa: ARG004
        """Run backward."""
        return gradient * kept(gradient)


class InnerAutograd(torch.autograd.Function):
    """A product whose backward pass runs the forward pass again, with pruned gradients."""

    @staticmethod
    def forward(ctx: Any, inputs: Any, weights: Any) -> Any:
        """Run forward."""
        ctx.save_for_backward(inputs, weights)
        # The product is not the result itself.
        return functional.linear(inputs, weights) + 0

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        """Run backward."""
        again = [one.detach().requires_grad_() for one in ctx.saved_tensors]
        with torch.enable_grad():
            result = functional.linear(*again)
        return torch.autograd.grad(result, again, gradient * kept(gradient))


def _network(first: Any, second: Any) -> Any:
    return nn.Sequential(first, nn.ReLU(), second).double()


def _plain() -> Any:
    return _network(nn.Linear(8, 12, bias=False), nn.Linear(12, 4, bias=False))


def _masked(network: Any) -> list[Any]:
    return [network[place].weight * kept(network[place].weight) for place in (0, 2)]


def plain() -> Network:
    return _plain(), lambda network: [network[0].weight, network[2].weight]


def parametrized() -> Network:
    network = _plain()
    for place in (0, 2):
        parametrize.register_parametrization(network[place], "weight", Masking())

    def operands(network: Any) -> list[Any]:
        originals = [network[place].parametrizations.weight.original for place in (0, 2)]
        return [one * kept(one) for one in originals]

    return network, operands


def pruned() -> Network:
    network = _plain()
    prune.l1_unstructured(network[0], "weight", amount=0.5)
    prune.ln_structured(network[2], "weight", amount=2, n=2, dim=1)
    return network, lambda network: [network[i].weight_orig * network[i].weight_mask for i in (0, 2)]


def straight_through_layers() -> Network:
    return _network(Linear(straight_through, 8, 12), Linear(straight_through, 12, 4)), _masked


def masked_by_function() -> Network:
    return _network(Linear(MaskedWeights.apply, 8, 12), Linear(MaskedWeights.apply, 12, 4)), _masked


def replace_weights(network: Any) -> None:
    """Have weights computed by a hook before every pass, of a parameter with a name of its own."""

    def replace(module: Any, _: Any) -> None:
        module.weight = straight_through(module.every)

    for place in (0, 2):
        network[place].every = network[place]._parameters.pop("weight")
        network[place].register_forward_pre_hook(replace)


def replaced_weights(network: Any) -> list[Any]:
    """Return what the hook computes."""
    return [network[place].every * kept(network[place].every) for place in (0, 2)]


def replaced() -> Network:
    network = _plain()
    replace_weights(network)
    return network, replaced_weights


def products() -> Network:
    network = _network(Product(8, 12), Product(12, 4))
    return network, lambda network: [(network[i].kernel * network[i].mask).t() for i in (0, 2)]


def weights_of_others() -> Network:
    network = _network(Around(8, 12), Around(12, 4))
    return network, lambda network: [network[i].inner.weight * kept(network[i].inner.weight) for i in (0, 2)]


def scattered() -> Network:
    return _network(Values(8, 12), Values(12, 4)), lambda network: [network[i].weight() for i in (0, 2)]


def normalised() -> Network:
    """Weight normalisation, of weights with rows and single ones that are zero."""
    network = _plain()
    for place in (0, 2):
        with torch.no_grad():
            network[place].weight[:, ::3] = 0
        parametrizations.weight_norm(network[place])

    def operands(network: Any) -> list[Any]:
        both = [network[place].parametrizations.weight for place in (0, 2)]
        return [one.original0 * one.original1 / one.original1.norm(dim=1, keepdim=True) for one in both]

    return network, operands


def spectral() -> Network:
    """Spectral normalisation: products of weights with vectors that are no inputs."""
    network = _plain()
    for place in (0, 2):
        with torch.no_grad():
            network[place].weight[:, ::3] = 0
        parametrizations.spectral_norm(network[place])
    # Its scale changes no zeros.
    return network, lambda network: [network[i].weight.detach() for i in (0, 2)]


def frozen_weights() -> Network:
    """Weights that are a buffer, in the second layer."""
    network = _plain()
    weights = network[2]._parameters.pop("weight").detach()
    network[2].register_buffer("weight", weights * kept(weights))
    return network, lambda network: [network[0].weight, network[2].weight]


def pruned_gradients() -> Network:
    network = _network(PruningLinear(8, 12, bias=False), PruningLinear(12, 4, bias=False))
    return network, lambda network: [network[0].weight, network[2].weight]


def pruned_by_hook() -> Network:
    network = _network(PruningHook(8, 12, bias=False), PruningHook(12, 4, bias=False))
    return network, lambda network: [network[0].weight, network[2].weight]


def pruned_by_module_hook() -> Network:
    network = _plain()
    for place in (0, 2):
        network[place].register_full_backward_pre_hook(lambda _, found: (found[0] * kept(found[0]),))
    return network, lambda network: [network[0].weight, network[2].weight]


def pruned_by_inner_autograd() -> Network:
    class Layer(nn.Linear):
        def forward(self, inputs: Any) -> Any:
            return InnerAutograd.apply(inputs, self.weight)

    network = _network(Layer(8, 12, bias=False), Layer(12, 4, bias=False))
    return network, lambda network: [network[0].weight, network[2].weight]


def pruned_by_identity() -> Network:
    class Layer(nn.Linear):
        def forward(self, inputs: Any) -> Any:
            return PruningIdentity.apply(super().forward(inputs))

    network = _network(Layer(8, 12, bias=False), Layer(12, 4, bias=False))
    return network, lambda network: [network[0].weight, network[2].weight]
