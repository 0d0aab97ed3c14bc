"""What is asked of the memory that training takes; each option is described here, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import SPEC, WHOLE, Form, Source
from procrustes_model.network.request import NetworkRequest
from procrustes_model.options import Request, again, argument, option

if TYPE_CHECKING:
    from procrustes_model.spec.network import Network


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    parts = given.split(",") if isinstance(given, str) else given
    names = tuple(str(name).strip() for name in parts)
    if not names or not all(names):
        raise ValueError
    return names


_NAMES = Form("names of layers", _names, write=",".join, metavar="NAME,NAME")


@dataclass(frozen=True)
class MemoryRequest(Request):
    """What `training_memory` and ``procrustes memory`` are asked."""

    network: Source | Network = field(
        metadata=argument(SPEC, "Network: file or name.", spec="network", metavar="NETWORK")
    )
    _: KW_ONLY
    batch: int | None = again(NetworkRequest, "batch", None)
    bits: int = option(32, WHOLE, "Bits of elements of which the network says nothing.", least=1, most=1024)
    states: int | None = option(
        None,
        WHOLE,
        "Elements of the optimizer's state per weight; default: the network's own.",
        details="1 of momentum, 2 of Adam. Without it, the states of the network's elementwise layers in the "
        "weight update.",
        least=0,
        most=16,
    )
    state_bits: int | None = option(None, WHOLE, "Bits of these; default: --bits.", least=1, most=1024)
    every: int | None = option(
        None,
        WHOLE,
        "Keep the input of every so many layers, compute others again.",
        flags=("--checkpoint-every",),
        least=1,
    )
    kept: Sequence[str] | str | None = option(
        None,
        _NAMES,
        "Keep the inputs of these layers and the first, compute others again.",
        flags=("--checkpoint",),
    )

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        if self.every is not None and self.kept is not None:
            raise SpecError(Issue("--checkpoint-every and --checkpoint are both given", "keep one of them"))
        if self.state_bits is not None and self.states is None:
            raise SpecError(Issue("--state-bits are those of --states", "add --states"))
