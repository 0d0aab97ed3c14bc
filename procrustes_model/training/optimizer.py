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

from procrustes_model.training.initial import CUTOFF, Initial, initial_values
from procrustes_model.training.quantile import Quantile, check_keep
from procrustes_model.training.torch_library import torch
from procrustes_model.training.tracking import track


class ProcrustesSGD(torch.optim.Optimizer):
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
        self.base = base(params, **options)
        self._resumed = False
        own = {
            "keep": keep,
            "decay": decay,
            "cutoff": cutoff,
            "quantile": quantile,
            "min_ndim": min_ndim,
            "seed": seed,
            "distribution": distribution,
        }
        groups, self.base.param_groups = self.base.param_groups, []
        super().__init__(groups, self.base.defaults | own)
        self.base.param_groups = self.param_groups

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
            _write(
                parameter, initial_values(_initial(group, state), tuple(parameter.shape), _type(parameter))
            )
            state["tracked"] = torch.zeros_like(
                parameter, dtype=torch.bool, memory_format=torch.contiguous_format
            )

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Move all weights, choose which are tracked, and let the others fall back.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss anew.

        Returns
        -------
        float or None
            What `closure` returned.
        """
        if self._resumed:
            self._check_resumed()
        loss = self.base.step(closure) if closure else self.base.step()
        with torch.no_grad():
            for group in self.param_groups:
                parameters = [one for one in group["params"] if "tracked" in self.state.get(one, {})]
                if parameters:
                    self._track(group, parameters)
        return loss

    def _track(self, group: dict[str, Any], parameters: list[torch.Tensor]) -> None:
        """Select among the parameters of one group, and write back what becomes of them."""
        result = track(
            [_read(parameter) for parameter in parameters],
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
            _write(parameter, weights)
            mask = self.state[parameter]["tracked"]
            mask.copy_(torch.from_numpy(tracked))
            for value in self.base.state.get(parameter, {}).values():
                if isinstance(value, torch.Tensor) and value.shape == parameter.shape and parameter.ndim:
                    value.masked_fill_(~mask, 0)

    def masks(self) -> dict[torch.Tensor, torch.Tensor]:
        """Return, by parameter that takes part in selection, which of its weights are tracked, bool[...]."""
        return {one: state["tracked"] for one, state in self.state.items() if "tracked" in state}

    def storage_density(self) -> float:
        """Return tracked weights / weights, of the parameters that take part in selection."""
        masks = self.masks().values()
        tracked, weights = sum(int(mask.sum()) for mask in masks), sum(int(mask.numel()) for mask in masks)
        return tracked / max(1, weights)

    def compute_density(self) -> float:
        """Return weights that are not zero / weights, of the parameters that take part in selection."""
        parameters = self.masks().keys()
        found = sum(int(torch.count_nonzero(parameter)) for parameter in parameters)
        return found / max(1, sum(int(parameter.numel()) for parameter in parameters))

    def state_dict(self) -> dict[str, Any]:
        """Return all that resuming needs besides the weights; the state of the optimizer inside is 'base'."""
        state: dict[str, Any] = super().state_dict()
        return state | {"base": self.base.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where another optimizer stood; the weights come from the model's own state_dict.

        Parameters
        ----------
        state_dict : dict
            What `state_dict` returned.

        Raises
        ------
        ValueError
            When it is of other param groups.

        Notes
        -----
        The next step raises RuntimeError when the model's weights are not those that this state was saved
        with.
        """
        if "base" not in state_dict:
            raise ValueError(
                "the state of the optimizer inside is missing: this is the state of another optimizer"
            )
        self.base.load_state_dict(state_dict["base"])
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "base"})
        self.base.param_groups = self.param_groups
        for state in self.state.values():
            # Loading casts tensors to the type of their parameter.
            state["tracked"] = state["tracked"].to(torch.bool)
        self._resumed = True

    def _check_resumed(self) -> None:
        """Raise RuntimeError unless weights that are not tracked are what is left of their initial values."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if "tracked" not in self.state.get(parameter, {}):
                    continue
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


def _read(parameter: torch.Tensor) -> Any:
    """Return the values of a parameter as an array in C order; it may share memory with it."""
    dtype = torch.float64 if parameter.dtype == torch.float64 else torch.float32
    return parameter.detach().to("cpu", dtype).contiguous().numpy()


def _write(parameter: torch.Tensor, values: Any) -> None:
    """Set a parameter to the values of an array."""
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values))
