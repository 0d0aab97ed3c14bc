"""Training with few weights in PyTorch: an optimizer around an optimizer.

    optimizer = ProcrustesSGD(model.parameters(), keep=0.2, lr=0.1, momentum=0.9)

It is used as any other of torch.optim: param groups, learning rate schedulers, hooks and state_dict work. All
weights of a param group share one budget; a group may have its own `keep`, `decay`, `cutoff` and `quantile`,
and with ``keep=None`` it is trained as usual. Needs the optional dependency torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from procrustes_model.training.around import Around, read_array, write_array
from procrustes_model.training.initial import CUTOFF, Initial, initial_values
from procrustes_model.training.quantile import Quantile, check_keep
from procrustes_model.training.torch_library import torch
from procrustes_model.training.tracking import track


class ProcrustesSGD(Around):
    """Train with a share of the weights: those whose gradients have accumulated to most.

    Every step, the optimizer inside moves the weights; then the weights that have moved furthest from what is
    left of their initial values are tracked, and the others fall back to what is left of theirs, which decays
    to zero.

    Weights are initialised by the optimizer, since initial values must be regenerable: of every parameter it
    takes over it keeps the standard deviation only. Momentum and other state of weights that are not tracked
    is zeroed.

    Parameters
    ----------
    params : iterable
        Parameters, named parameters, or param groups.
    base : callable
        Makes the optimizer inside: ``base(params, **options)``. It should move a weight in proportion to its
        gradients, as SGD does; with others, what is compared is no longer accumulated gradients.
    keep : float or None
        Share of the weights that is tracked. None: all, as usual.
    decay : float
        What is left of initial values after one step, as a factor.
    cutoff : float
        When less is left of initial values, nothing is.
    quantile : Quantile or None
        How the threshold is estimated. None: weights are sorted, and exactly the share `keep` is tracked.
    min_ndim : int
        Parameters with fewer dimensions are trained as usual: norms and biases have one. Not tracked, not
        decayed.
    seed : int
        Of the initial values.
    distribution : 'uniform' or 'normal'
        Of the initial values.
    **options
        For the optimizer inside: lr, momentum, weight_decay, ...

    Raises
    ------
    ValueError
        When an option is out of range.

    Notes
    -----
    Selection runs on the CPU; parameters elsewhere are copied there and back in every step.
    """

    def __init__(
        self,
        params: Iterable[Any],
        base: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
        *,
        keep: float | None,
        decay: float = 0.9,
        cutoff: float = CUTOFF,
        quantile: Quantile | None = Quantile(),  # noqa: B008 - immutable
        min_ndim: int = 2,
        seed: int = 0,
        distribution: str = "uniform",
        **options: Any,
    ) -> None:
        own = {
            "keep": keep,
            "decay": decay,
            "cutoff": cutoff,
            "quantile": quantile,
            "min_ndim": min_ndim,
            "seed": seed,
            "distribution": distribution,
        }
        super().__init__(params, base, own, options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a param group; its weights are initialised.

        Parameters
        ----------
        param_group : dict
            As for any optimizer, with the options of this one.
        """
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        quantile = group["quantile"]
        if isinstance(quantile, Quantile):
            # Plain values, so that a checkpoint loads with weights_only.
            group["quantile"] = {"start": quantile.start, "rate": quantile.rate, "lanes": quantile.lanes}
        _check(group)
        group.update(decayed=1.0, estimate=_quantile(group).start, iteration=0, comparisons=0, updates=0)
        if group["keep"] is None:
            return
        first = sum(len(other["params"]) for other in self.param_groups[:-1])
        for place, parameter in enumerate(group["params"]):
            if parameter.ndim < group["min_ndim"]:
                continue
            scale = float(parameter.detach().double().std(correction=0)) if parameter.numel() else 0.0
            state: dict[str, Any] = {"layer": first + place, "scale": scale}
            self.state[parameter] = state
            write_array(
                parameter, initial_values(_initial(group, state), tuple(parameter.shape), _type(parameter))
            )
            state["tracked"] = torch.zeros_like(
                parameter, dtype=torch.bool, memory_format=torch.contiguous_format
            )

    def _choose(self, group: dict[str, Any], parameters: list[torch.Tensor]) -> None:
        """Select among the parameters of one group, and write back what becomes of them."""
        result = track(
            [read_array(parameter) for parameter in parameters],
            [_initial(group, self.state[parameter]) for parameter in parameters],
            group["keep"],
            decayed=group["decayed"],
            decay=group["decay"],
            cutoff=group["cutoff"],
            quantile=_quantile(group) if group["quantile"] is not None else None,
            estimate=group["estimate"],
        )
        group.update(decayed=result.decayed, estimate=result.estimate, iteration=group["iteration"] + 1)
        group["comparisons"] += result.comparisons
        group["updates"] += result.updates
        for parameter, weights, tracked in zip(parameters, result.weights, result.tracked, strict=True):
            write_array(parameter, weights)
            self.state[parameter]["tracked"].copy_(torch.from_numpy(tracked))
            self._forget(parameter)

    def _check_resumed(self) -> None:
        """Raise RuntimeError unless weights that are not tracked are what is left of their initial values."""
        for group in self.param_groups:
            for parameter in self._tracked_in(group):
                state = self.state[parameter]
                shape, dtype = tuple(parameter.shape), _type(parameter)
                expected = initial_values(_initial(group, state), shape, dtype, group["decayed"])
                found = parameter.detach().to("cpu")
                if not bool(
                    (state["tracked"].to("cpu") | (found == torch.from_numpy(expected).to(found))).all()
                ):
                    raise RuntimeError(
                        "the weights do not belong to the optimizer's state; making the optimizer "
                        "initialises weights: load the model's state_dict after that"
                    )
        self._resumed = False


def _check(group: dict[str, Any]) -> None:
    """Raise ValueError where an option of a group is out of range."""
    if group["keep"] is not None:
        check_keep(group["keep"])
    for name in ("decay", "cutoff"):
        if not 0 <= group[name] <= 1:
            raise ValueError(f"{name} {group[name]} must be from 0 to 1")
    _quantile(group)
    _initial(group, {"layer": 0, "scale": 0.0})


def _quantile(group: dict[str, Any]) -> Quantile:
    return Quantile(**(group["quantile"] or {}))


def _initial(group: dict[str, Any], state: dict[str, Any]) -> Initial:
    return Initial(group["seed"], state["layer"], state["scale"], group["distribution"])


def _type(parameter: torch.Tensor) -> Any:
    """Return the type that a parameter is tracked in: its own, or float32 for shorter ones."""
    return np.float64 if parameter.dtype == torch.float64 else np.float32
