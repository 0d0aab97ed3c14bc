"""See every operator that PyTorch carries out in a thread, below autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
    _get_current_dispatch_mode,
)

from procrustes_model.training.torch_library import torch


class Operators(TorchDispatchMode):  # type: ignore[misc]  # torch is optional: nothing is known of it
    """Calls back around every operator while it is entered.

    Parameters
    ----------
    after : callable
        Called with the operator, its arguments, its keywords and its result.
    before : callable, optional
    within_backward : bool
        Whether a backward pass that begins meanwhile is seen, too.
    """

    def __init__(
        self,
        after: Callable[[Any, Any, Any, Any], None],
        before: Callable[[], None] = lambda: None,
        *,
        within_backward: bool = False,
    ) -> None:
        super().__init__()
        self._before, self._after = before, after
        self._task = None if within_backward else _backward_pass()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry out an operator, and tell."""
        if self._task is not None and self._task != _backward_pass():
            return func(*args, **(kwargs or {}))
        self._before()
        result = func(*args, **(kwargs or {}))
        with _disable_current_modes():
            self._after(func, args, kwargs, result)
        return result

    def leave(self) -> None:
        """Leave it where it is the innermost mode; it is not if an interrupt has upset their order."""
        if _get_current_dispatch_mode() is self:
            self.__exit__(None, None, None)


def _backward_pass() -> int:
    """Return the number of the backward pass that runs in this thread, -1 if none does."""
    return int(torch._C._current_graph_task_id())
