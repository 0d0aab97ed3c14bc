"""What is asked of a network: each option of `run_network` and `train_cost` is described here, once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from procrustes_model.errors import Issue, SpecError
from procrustes_model.forms import (
    DEFAULT_SECONDS,
    FILE,
    FOLDER,
    SECONDS,
    SPEC,
    SWITCH,
    TEXT,
    WHOLE,
    File,
    Form,
    Source,
    one_of,
)
from procrustes_model.mapper.request import SearchRequest
from procrustes_model.options import Request, again, argument, beside, option
from procrustes_model.spec.text.densities import (
    by_tensor,
    check_tensor_densities,
    parse_tensor_densities,
    write_tensor_densities,
)
from procrustes_model.spec.text.words import closest, did_you_mean
from procrustes_model.vocabulary import ANY_DATAFLOW, DATAFLOWS, PHASES, Phase, Role

if TYPE_CHECKING:
    from procrustes_model.mapper.level_rules import Constraints
    from procrustes_model.network.progress import RunProgress
    from procrustes_model.objective import Objective
    from procrustes_model.spec.architecture import Architecture
    from procrustes_model.spec.network import Network
    from procrustes_model.spec.network_density import DensityProfile
    from procrustes_model.spec.schedule import Schedule
    from procrustes_model.spec.sparsity import Sparsity

Engine = Literal["local", "dask"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
Mappings = Literal["each", "dense"]
MAPPINGS: tuple[Mappings, ...] = get_args(Mappings)
TENSORS = {role: role.tensor for role in Role}
"""What tensors are called where something is said of all layers: as in the shapes that ship."""


_OF_SEARCHES = ("dataflow", "constraints", "objective", "seed", "engine", "seconds", "workers")
"""Options that decide how mappings are searched, and where they are kept."""


def nothing_searched(flag: str) -> Issue:
    """Return the issue of an option that says how to search where computations alone are counted."""
    return Issue(f"{flag} has no effect with --macs: nothing is searched", "leave it out")


def check_phases(phases: str | Sequence[str]) -> tuple[Phase, ...]:
    """Return phases in the order of a training step, from names or from text such as ``fw,wu``.

    Raises
    ------
    SpecError
        When one is unknown or there is none.
    """
    parts = phases.split(",") if isinstance(phases, str) else phases
    names = [str(name).strip() for name in parts if str(name).strip()]
    known = ", ".join(phase.short for phase in PHASES)
    for name in names:
        if not any(name in (phase, phase.short) for phase in PHASES):
            near = closest(name, [word for phase in PHASES for word in (phase.short, str(phase))])
            hint = f"some of {known}" if near is None else f"did you mean '{near}'?"
            raise SpecError(Issue(f"unknown phase '{name[:40]}'", hint))
    if not names:
        raise SpecError(Issue("there is no phase", f"some of {known}"))
    wanted = {Phase.parse(name) for name in names}
    return tuple(phase for phase in PHASES if phase in wanted)


def check_dataflow(name: str) -> str:
    """Return the name of a dataflow as it stands in `DATAFLOWS`, or `ANY_DATAFLOW`.

    Raises
    ------
    SpecError
        When there is none of this name; the order and case of its letters do not matter.
    """
    name = str(name)
    wanted = sorted(name.upper())
    for one in DATAFLOWS:
        if sorted(one) == wanted:
            return one
    if name.lower() == ANY_DATAFLOW:
        return ANY_DATAFLOW
    known = (*DATAFLOWS, ANY_DATAFLOW)
    hint = did_you_mean(name.upper(), known) or f"one of {', '.join(known)}"
    raise SpecError(Issue(f"unknown dataflow '{name[:40]}'", hint))


def _check_densities(given: str | Mapping[str, float]) -> dict[str, float]:
    if isinstance(given, str):
        return parse_tensor_densities(given, list(TENSORS.values()), TENSORS, "a layer")
    if not isinstance(given, Mapping):
        raise ValueError
    names = list(TENSORS.values())
    return check_tensor_densities(by_tensor(given, names, TENSORS, "a layer"), names, "a layer")


_PHASES = Form(
    "a list of phases",
    check_phases,
    write=lambda phases: ",".join(phase.short for phase in phases),
    metavar=",".join(phase.short for phase in PHASES),
)
_FLOWS = (*DATAFLOWS, ANY_DATAFLOW)
_DATAFLOW = Form("the name of a dataflow", check_dataflow, metavar="|".join(_FLOWS), words=_FLOWS)
_DENSITY = Form("densities by tensor", _check_densities, write=write_tensor_densities, metavar="W=0.1,X=0.5")


@dataclass(frozen=True, kw_only=True)
class Effort(Request):
    """How long searches may take, and how many run at a time."""

    seconds: float | None = option(
        DEFAULT_SECONDS,
        SECONDS,
        "Time limit of each search; 0: to its end.",
        least=0,
        details="None, as 0: until the best is proven. With a larger limit, another run with the same `out` "
        "searches again what was not proven.",
    )
    workers: int | None = option(
        None,
        WHOLE,
        "Searches at once; default: all cores.",
        details="Their number does not change the result.",
        least=1,
        decides=False,
    )


@dataclass(frozen=True)
class NetworkRequest(Effort):
    """What a run of a network and the cost of a training run are both asked with."""

    architecture: Source | Architecture = field(
        metadata=argument(SPEC, "Architecture: file or name.", spec="architecture", metavar="ARCH")
    )
    network: Source | Network = field(
        metadata=argument(SPEC, "Network: file or name.", spec="network", metavar="NETWORK")
    )
    _: KW_ONLY
    sparsity: Source | Sparsity | None = again(SearchRequest, "sparsity", None)
    batch: int | None = option(None, WHOLE, "Samples per training step; default: the network's own.", least=1)
    dataflow: str = option(ANY_DATAFLOW, _DATAFLOW, "Dimensions over columns and rows of the array.")
    constraints: Source | Constraints | None = option(
        None, SPEC, "Constraints in place of a dataflow: file or name.", spec="constraints"
    )
    first_data_gradient: bool = option(
        True,
        SWITCH,
        "Whether the first layer has a backward phase.",
        details="Nothing before it is trained, so that the gradient of its input may be left out.",
        off="--no-first-data-gradient",
    )
    objective: str | Objective = again(SearchRequest, "objective", "edp")
    seed: int = again(SearchRequest, "seed", 0)
    engine: Engine = option("local", one_of("engine", ENGINES), "This machine, or a cluster.", decides=False)
    scheduler: str | None = option(
        None,
        TEXT,
        "Of a Dask scheduler, such as tcp://10.0.0.1:8786.",
        metavar="ADDRESS",
        details="Without it, the engine dask starts a cluster on this machine.",
        decides=False,
    )
    macs: bool = option(
        False,
        SWITCH,
        "Count the computations that remain, without a search.",
        details="They are the same under every mapping; energy and cycles are not known then.",
        decides=False,
    )
    out: File | None = option(
        None,
        FOLDER,
        "Folder for cases and mappings; with what is there a run goes on.",
        flags=("--out", "-o"),
        details="It gets every finished search at once.",
        decides=False,
    )
    progress: Callable[[RunProgress], None] | None = beside(
        "Called with `RunProgress` when a search is done."
    )

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        if self.constraints is not None and self.dataflow != ANY_DATAFLOW:
            raise SpecError(
                Issue("a dataflow and constraints are both given", "write it into the constraints")
            )
        if self.macs and (useless := self.given(*_OF_SEARCHES)):
            raise SpecError(nothing_searched(useless[0]))
        if self.scheduler is not None and self.engine != "dask":
            raise SpecError(Issue("a scheduler's address needs the engine dask", "--engine dask"))
        if self.scheduler is not None and self.workers is not None:
            raise SpecError(
                Issue("a scheduler has workers of its own, and all of them are used", "leave out --workers")
            )


@dataclass(frozen=True)
class RunRequest(NetworkRequest):
    """What `run_network` and ``procrustes network`` are asked."""

    _: KW_ONLY
    phases: Sequence[str] | str = option(
        PHASES,
        _PHASES,
        "Forward, backward, weight update.",
        details="By long or short names: 'forward', 'backward', 'weight_update', or 'fw', 'bw', 'wu'.",
    )
    baseline: Source | Sparsity | None = option(
        None,
        SPEC,
        "Design to compare with, at best mappings of its own.",
        spec="sparsity",
        metavar="dense",
    )
    densities: Mapping[str, float] | str | None = option(
        None,
        _DENSITY,
        "Nonzeros / elements, the same in all layers.",
        details="By tensor: Weights, Inputs, Outputs, or W, X, Y; the latter two where nothing else says it.",
        flags=("--density",),
        recorded="density",
    )
    profile: Source | DensityProfile | None = option(
        None,
        SPEC,
        "Densities by layer: file, name, or recorded masks (.npz).",
        details="Of recorded masks it takes the densities.",
        flags=("--density-profile",),
        spec="density",
    )
    masks: File | None = option(
        None,
        FILE,
        "Recorded masks (.npz): count on them.",
        details="Zeros are then counted and not expected.",
    )
    step: int | None = option(None, WHOLE, "Recorded step of the masks; default: the last.")
    as_published: bool = option(
        False,
        SWITCH,
        "Stride 1 at the output's size, as published numbers used.",
        details="The backward phase is then a gather.",
    )

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        super().check()
        if self.profile is not None and self.masks is not None:
            raise SpecError(Issue("the densities of weights are given twice: by profile and by masks"))
        if self.step is not None and self.masks is None and not isinstance(self.profile, str | os.PathLike):
            raise SpecError(Issue("--step chooses among recorded masks", "add --masks FILE"))
        if Role.WEIGHTS.tensor in (self.densities or {}) and (
            self.profile is not None or self.masks is not None
        ):
            other = "masks" if self.profile is None else "profile"
            raise SpecError(Issue(f"the densities of weights are given twice: by density and by {other}"))


@dataclass(frozen=True)
class TrainRequest(NetworkRequest):
    """What `train_cost` and ``procrustes train-cost`` are asked."""

    schedule: Source | Schedule = field(
        metadata=argument(
            SPEC,
            "Iterations and densities: file or name, or recorded masks (.npz).",
            flags=("--schedule",),
            spec="schedule",
        )
    )
    _: KW_ONLY
    iterations: int | None = option(
        None,
        WHOLE,
        "Where a recorded run ends; a YAML file says it.",
        details="The number of the iteration after its last one.",
        least=1,
        metavar="N",
    )
    sparsity: Source | Sparsity | None = again(NetworkRequest, "sparsity", "procrustes")
    mappings: Mappings = option(
        "each",
        one_of("mappings", MAPPINGS),
        "The best for each state of a layer, or the best dense one for the whole run.",
        details="'dense' is the mapping that is best where nothing is zero.",
    )

    def check(self) -> None:
        """Raise a SpecError where options do not go together."""
        super().check()
        if self.macs and (useless := self.given("mappings", "out")):
            raise SpecError(nothing_searched(useless[0]))
        if self.sparsity is None and is_recorded(self.schedule):  # others may state bits
            raise SpecError(Issue("dense training costs what the comparison says", "name a sparse design"))
        if self.iterations is not None and not is_recorded(self.schedule):
            raise SpecError(Issue("iterations are the end of a recorded run", "a schedule file says its own"))


def is_recorded(source: Any) -> bool:
    """Return whether a file is meant to be one of recorded masks, by its name."""
    return isinstance(source, str | os.PathLike) and Path(source).suffix == ".npz"
