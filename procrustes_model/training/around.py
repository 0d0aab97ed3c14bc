"""An optimizer around an optimizer: what the sparse ones share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from procrustes_model.training.torch_library import torch


class Around(torch.optim.Optimizer):  # type: ignore[misc]  # torch is optional: nothing is known of it
    """Shares its param groups with the optimizer inside, `base`, and saves both.

    Parameters
    ----------
    params : iterable
        Parameters, named parameters, or param groups.
    base : callable
        Makes the optimizer inside: ``base(params, **options)``.
    own : dict
        Options of this optimizer; a group may have its own.
    options : dict
        Of the optimizer inside.
    """

    def __init__(
        self,
        params: Iterable[Any],
        base: Callable[..., torch.optim.Optimizer],
        own: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        self.base = base(params, **options)
        self._resumed = False
        groups, self.base.param_groups = self.base.param_groups, []
        super().__init__(groups, self.base.defaults | own)
        self.base.param_groups = self.param_groups

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

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Move the weights, then choose among them.

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
                if parameters := self._tracked_in(group):
                    self._choose(group, parameters)
        return loss

    def _choose(self, group: dict[str, Any], parameters: list[torch.Tensor]) -> None:
        """Choose among the weights of a group's parameters, which have been moved."""
        raise NotImplementedError

    def _check_resumed(self) -> None:
        """Raise RuntimeError unless the weights are those of the state that was loaded."""
        raise NotImplementedError

    def _tracked_in(self, group: dict[str, Any]) -> list[torch.Tensor]:
        """Return the parameters of a group that take part in selection."""
        return [one for one in group["params"] if "tracked" in self.state.get(one, {})]

    def _forget(self, parameter: torch.Tensor) -> None:
        """Zero what the optimizer inside keeps of weights that are not tracked."""
        mask = self.state[parameter]["tracked"]
        for value in self.base.state.get(parameter, {}).values():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape and parameter.ndim:
                value.masked_fill_(~mask, 0)


def read_array(parameter: torch.Tensor) -> Any:
    """Return the values of a parameter as an array in C order; it may share memory with it."""
    dtype = torch.float64 if parameter.dtype == torch.float64 else torch.float32
    return parameter.detach().to("cpu", dtype).contiguous().numpy()


def write_array(parameter: torch.Tensor, values: Any) -> None:
    """Set a parameter to the values of an array."""
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(values))
