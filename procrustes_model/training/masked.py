"""Training with masks of weights that follow a schedule, in PyTorch: an optimizer around an optimizer.

    schedule = Alternate([(100, None), (50, TopK(0.1)), (50, None), (100, TopK(0.1))])
    optimizer = MaskedSGD(model.parameters(), masks=schedule, lr=0.1, momentum=0.9)

It is used as any other of torch.optim. All weights of a param group have one schedule; a group may have its
own `masks`, and with ``masks=None`` it is trained as usual. Needs the optional dependency torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from procrustes_model.training.around import Around, read_array
from procrustes_model.training.mask_schedules import MaskSchedule
from procrustes_model.training.torch_library import torch


class MaskedSGD(Around):
    """Train weights that masks let through; the others are zero.

    Every step, the optimizer inside moves the weights, and those that the mask leaves out are zero again, as
    is what the optimizer inside keeps of them, such as momentum. Then the schedule says whether the masks
    change: what leaves them becomes zero, what comes in begins with zero.

    Parameters
    ----------
    params : iterable
        Parameters, named parameters, or param groups.
    base : callable
        Makes the optimizer inside: ``base(params, **options)``.
    masks : MaskSchedule or None
        Such as `Alternate`, `Ramp`, `Rewire` or `Partitions`; counts iterations. None: as usual.
    min_ndim : int
        Parameters with fewer dimensions are trained as usual: norms and biases have one.
    **options
        For the optimizer inside: lr, momentum, weight_decay, ...

    Raises
    ------
    ValueError
        When the schedule does not fit the parameters.

    Notes
    -----
    Masks are chosen on the CPU. Gradients of weights that are left out are computed, and looked at by
    schedules that grow weights by gradient.
    """

    def __init__(
        self,
        params: Iterable[Any],
        base: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
        *,
        masks: MaskSchedule | None,
        min_ndim: int = 2,
        **options: Any,
    ) -> None:
        super().__init__(params, base, {"masks": masks, "min_ndim": min_ndim}, options)
        # Weights that are loaded later would not be those that the masks were chosen by.
        self._resumed = True

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a param group; weights that its first masks leave out become zero.

        Parameters
        ----------
        param_group : dict
            As for any optimizer, with the options of this one.
        """
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group["iteration"] = 0
        if group["masks"] is None:
            return
        chosen = [one for one in group["params"] if one.ndim >= group["min_ndim"]]
        masks = group["masks"].start([read_array(one) for one in chosen])
        for parameter, mask in zip(chosen, masks, strict=True):
            self.state[parameter] = {"tracked": torch.from_numpy(mask.copy()).to(parameter.device)}
            self._zero(parameter)

    def _choose(self, group: dict[str, Any], parameters: list[torch.Tensor]) -> None:
        """Zero what the masks of a group leave out, and change them where its schedule says so."""
        group["iteration"] += 1
        for parameter in parameters:
            self._zero(parameter)
        masks = group["masks"].follow(
            group["iteration"],
            [read_array(one) for one in parameters],
            [None if one.grad is None else read_array(one.grad) for one in parameters],
            tuple(self.state[one]["tracked"].to("cpu").numpy() for one in parameters),
        )
        for parameter, mask in zip(parameters, masks or (), strict=masks is not None):
            self.state[parameter]["tracked"].copy_(torch.from_numpy(mask.copy()))
            self._zero(parameter)

    def _zero(self, parameter: torch.Tensor) -> None:
        """Zero weights that are left out, and what the optimizer inside keeps of them."""
        with torch.no_grad():
            parameter.masked_fill_(~self.state[parameter]["tracked"], 0)
        self._forget(parameter)

    def state_dict(self) -> dict[str, Any]:
        """Return all that resuming needs besides the weights; schedules are in it as text only."""
        state: dict[str, Any] = super().state_dict()
        return self._with_groups(state, lambda group, _: {**group, "masks": repr(group["masks"])})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where another optimizer stood; the weights come from the model's own state_dict.

        Parameters
        ----------
        state_dict : dict
            What `state_dict` returned.

        Raises
        ------
        ValueError
            When it is of other param groups, or of another schedule of masks.
        """

        def restored(group: dict[str, Any], place: int) -> dict[str, Any]:
            mine = self.param_groups[place]["masks"] if place < len(self.param_groups) else None
            if group.get("masks") != repr(mine):
                raise ValueError(f"the state is of other masks, {group.get('masks')}: these are {mine!r}")
            return {**group, "masks": mine}

        super().load_state_dict(
            self._with_groups(state_dict, restored) if "base" in state_dict else state_dict
        )

    @staticmethod
    def _with_groups(
        state: dict[str, Any], change: Callable[[dict[str, Any], int], dict[str, Any]]
    ) -> dict[str, Any]:
        """Return a state with other param groups, also in that of the optimizer inside."""

        def changed(one: dict[str, Any]) -> dict[str, Any]:
            return {**one, "param_groups": [change(group, i) for i, group in enumerate(one["param_groups"])]}

        return changed({**state, "base": changed(state["base"])})

    def _check_resumed(self) -> None:
        """Raise RuntimeError unless weights that masks leave out are zero."""
        for parameter, state in self.state.items():
            if bool((parameter.detach() != 0)[~state["tracked"]].any()):
                raise RuntimeError(
                    "the weights do not belong to the optimizer's masks, which others were chosen by: load "
                    "the model's state_dict, then make the optimizer, or load its state, too"
                )
        self._resumed = False
