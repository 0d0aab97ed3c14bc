"""Where tensors of a layer begin and end on the chip, by phase: layers that follow each other there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import model_validator

from procrustes_model.spec.phased import Phased, flatten, is_made
from procrustes_model.spec.schema import PartError
from procrustes_model.spec.text.document import Document
from procrustes_model.spec.text.words import PAIRS, did_you_mean, is_name, shorten
from procrustes_model.spec.text.yaml_text import Path
from procrustes_model.spec.widths import Fault
from procrustes_model.vocabulary import PHASES, Phase, Role

_READ = {
    Role.WEIGHTS: (Phase.FORWARD, Phase.BACKWARD),
    Role.INPUT: (Phase.FORWARD, Phase.WEIGHT_UPDATE),
    Role.OUTPUT: (Phase.BACKWARD, Phase.WEIGHT_UPDATE),
}
"""By role, the phases that read such a tensor; the third one writes it."""

STARTS, ENDS = "starts", "ends"
_EXAMPLE = {
    STARTS: "such as {Inputs: Buffer} or {backward: {Outputs: Buffer}}",
    ENDS: "such as {Outputs: Buffer} or {backward: {Inputs: Buffer}}",
}


def phases_of(key: str, tensor: str) -> tuple[Phase, ...]:
    """Return the phases in which a tensor, called by its role, is one that starts, or ends."""
    read = next(phases for role, phases in _READ.items() if role.tensor == tensor)
    return read if key == STARTS else tuple(phase for phase in PHASES if phase not in read)


class Stays(Phased):
    """Levels where tensors start, or end; without a phase in every one in which they do."""

    stated: tuple[tuple[str, Phase | None, str], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _read(cls, written: Any) -> Any:
        if is_made(written):
            return written
        if not isinstance(written, Mapping):
            raise PartError((), f"must be {PAIRS}, is {shorten(written)}")
        return {"stated": flatten(written)}

    def within(self, key: str, phase: Phase) -> dict[str, str]:
        """Return the levels by tensor in one phase; `key` says whether these are those that start or end."""
        shared = {tensor: at for tensor, at in self.of(None).items() if phase in phases_of(key, tensor)}
        return shared | self.of(phase)


NOWHERE = Stays(stated=())


def read_stays(written: Any, path: Path, document: Document) -> Stays:
    """Return the levels that stand at a path of a document, none where there is an issue.

    Parameters
    ----------
    written : Any
    path : tuple
        Where it stands; its last part says whether tensors start or end there.
    document : Document
        Gets every issue.
    """
    faults = list(faults_of_stays(str(path[-1]), written))
    for fault in faults:
        document.complain((*path, *fault.path), fault.message, fault.hint, key=fault.key)
    return NOWHERE if faults else Stays(stated=flatten(written))


def faults_of_stays(key: str, written: Any) -> Iterator[Fault]:
    """Yield what is wrong with `starts` or `ends` as written."""
    if not isinstance(written, Mapping) or not written:
        yield Fault((), f"'{key}' must be {PAIRS}, is {shorten(written)}", _EXAMPLE[key])
        return
    for name, value in written.items():
        if name not in set(PHASES):
            yield from _tensor_faults(key, name, value, None, (name,))
        elif not isinstance(value, Mapping) or not value:
            yield Fault((name,), f"'{name}' must be levels by tensor, is {shorten(value)}", _EXAMPLE[key])
        else:
            for tensor, level in value.items():
                yield from _tensor_faults(key, tensor, level, Phase(name), (name, tensor))


def _tensor_faults(key: str, name: Any, level: Any, phase: Phase | None, path: Path) -> Iterator[Fault]:
    tensors = [role.tensor for role in Role]
    if name not in tensors:
        hint = did_you_mean(str(name), tensors if phase else [*tensors, *PHASES])
        yield Fault(path, f"no tensor '{str(name)[:60]}' for '{key}'", hint, key=True)
    elif phase is not None and phase not in phases_of(key, name):
        verb, other = ("read", ENDS) if key == STARTS else ("written", STARTS)
        message = f"'{name}' is not {verb} in the phase {phase}: it cannot stand in '{key}'"
        yield Fault(path, message, f"it may stand in '{other}'", key=True)
    elif not isinstance(level, str) or not is_name(level):
        yield Fault(path, f"'{name}' must be the name of a level, is {shorten(level)}")
