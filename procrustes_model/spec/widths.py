"""Bits of elements as networks, layers and parts of schedules state them, and which statement wins.

The order of all statements of an element's bits, of which a later one wins tensor by tensor:

1. the level's word: `word_bits`
2. the architecture: `bits`
3. the problem: `bits` of a problem's file
4. the network: `bits`
5. the layer: `bits` of an item
6. the phase: what the network, and then the layer, says of this phase
7. the part of a schedule, and then what it says of this phase

`model.lower.lower_bits` applies the first three; `bits_in_phase` makes the others those of a problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import model_validator

from procrustes_model.spec.phased import Phased, flatten, is_made
from procrustes_model.spec.schema import LARGEST_BOUND, PartError
from procrustes_model.spec.text.document import Document
from procrustes_model.spec.text.words import PAIRS, did_you_mean, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.vocabulary import PHASES, Phase, Role

ROLE_TENSORS = tuple(role.tensor for role in Role)
"""What tensors are called where something is said of all layers."""

EXAMPLE = "such as {Weights: 8, Inputs: 8, backward: {Outputs: 16}}"


class Fault(NamedTuple):
    """What is wrong with bits as written; `path` leads to it, and `key` says that the key itself is meant."""

    path: Path
    message: str
    hint: str | None = None
    key: bool = False


class Bits(Phased):
    """Bits of elements by tensor, in all phases and in single ones."""

    stated: tuple[tuple[str, Phase | None, int], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _read(cls, written: Any) -> Any:
        if is_made(written):
            return written
        fault = next(faults_of_bits(written), None)
        if fault is not None:
            raise PartError(fault.path, fault.message, fault.hint)
        return {"stated": flatten(written)}

    def updated(self, other: Bits) -> Bits:
        """Return these bits with others in their place: of all phases, and of single ones."""
        if not (self and other):
            return self or other
        last = {(tensor, phase): bits for tensor, phase, bits in (*self.stated, *other.stated)}
        return Bits(stated=tuple((tensor, phase, bits) for (tensor, phase), bits in last.items()))


NO_BITS = Bits(stated=())


def bits_in_phase(
    phase: Phase,
    problem: Mapping[str, int],
    network: Bits = NO_BITS,
    layer: Bits = NO_BITS,
    part: Bits = NO_BITS,
) -> dict[str, int]:
    """Return the bits of a layer's problem in a phase: of all statements the last one of each tensor.

    The module says the order.

    Parameters
    ----------
    phase : Phase
    problem : mapping of str to int
        What the layer's problem says itself.
    network, layer, part : Bits
        Part: of a schedule.
    """
    return {
        **problem,
        **network.of(None),
        **layer.of(None),
        **network.of(phase),
        **layer.of(phase),
        **part.of(None),
        **part.of(phase),
    }


def faults_of_bits(written: Any, tensors: Iterable[str] = ()) -> Iterator[Fault]:
    """Yield what is wrong with bits as written.

    Parameters
    ----------
    written : Any
    tensors : iterable of str, optional
        The only ones that may be named; any name where there are none.
    """
    known = tuple(tensors)
    if not isinstance(written, Mapping):
        yield Fault((), f"'bits' must be {PAIRS}, is {shorten(written)}", EXAMPLE)
        return
    for key, value in written.items():
        if key not in set(PHASES):
            yield from _tensor_faults(key, value, (key,), known, (*known, *PHASES))
        elif isinstance(value, Mapping):
            for name, bits in value.items():
                yield from _tensor_faults(name, bits, (key, name), known, known)
        else:
            hint = f"such as {key}: {{Outputs: 16}}"
            yield Fault((key,), f"'{key}' must be bits by tensor, is {shorten(value)}", hint)


def _tensor_faults(
    name: Any, bits: Any, path: Path, known: tuple[str, ...], options: tuple[str, ...]
) -> Iterator[Fault]:
    if known and name not in known:
        yield Fault(path, f"no tensor '{str(name)[:60]}' for 'bits'", did_you_mean(str(name), options), True)
    elif isinstance(bits, bool) or not isinstance(bits, int):
        yield Fault(path, f"the bits of {name} must be a whole number, is {shorten(bits)}")
    elif not 1 <= bits <= LARGEST_BOUND:
        limit = "at least 1" if bits < 1 else f"at most {LARGEST_BOUND}"
        yield Fault(path, f"the bits of {name} must be {limit}, is {shorten(bits)}")


def read_bits(written: Any, path: Path, document: Document, tensors: Iterable[str] = ROLE_TENSORS) -> Bits:
    """Return the bits that stand at a path of a document, none where there is an issue.

    Parameters
    ----------
    written : Any
    path : tuple
        Where it stands.
    document : Document
        Gets every issue.
    tensors : iterable of str
        The tensors that may be named.
    """
    if written is None:
        return NO_BITS
    faults = list(faults_of_bits(written, tensors))
    for fault in faults:
        document.complain((*path, *fault.path), fault.message, fault.hint, key=fault.key)
    return NO_BITS if faults else Bits(stated=flatten(written))
