"""What a search returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from procrustes_model.model.result import Result
from procrustes_model.objective import gap_to, parse_objective
from procrustes_model.shown import Shown
from procrustes_model.spec.mapping import Mapping
from procrustes_model.spec.sparsity import Sparsity
from procrustes_model.vocabulary import Searched


@dataclass(frozen=True)
class Improvement:
    """A best mapping at some moment of a search.

    Attributes
    ----------
    seconds : float
        Since the search began.
    energy_pj, cycles : float
    """

    seconds: float
    energy_pj: float
    cycles: float


@dataclass(frozen=True)
class Certificate:
    """What a search can say about the mapping that it returns.

    Attributes
    ----------
    proven : bool
        Whether no mapping of the space is better.
    complete : bool
        Whether the search went to its end. Where something is zero, a gap may be left all the same: where no
        exact bound is known, or mappings have too many orders to measure all.
    crowded : bool
        Whether it left parts out for which there was no memory.
    value, lower_bound : float
        Objective of the mapping, and what no mapping of the space falls below: in the
        objective's unit, such as pJ x cycles.
    proof : str
        What the bound is from: "paths" where shortest paths decided everything, "labels" where partial
        mappings were followed; empty where neither was asked.
    mapspace : int, optional
        Mappings of the space, each once; see `Space.size`. None where they were not counted.
    patterns, patterns_pruned : int
        Choices of what levels keep, and those that a bound excludes as a whole.
    measured : int
        Whole mappings evaluated.
    pruned : dict of str to int
        Partial mappings given up, by argument.
    searched : Searched
        The mappings of which it says so.
    whole : float, optional
        With imperfect factors, what no mapping of whole passes falls below and one of them reaches.
    even : float, optional
        With uneven mappings, what no even one falls below and one of them reaches.
    searches : int
        Searches that this one is made of.
    """

    proven: bool
    value: float
    lower_bound: float
    mapspace: int | None
    patterns: int = 0
    patterns_pruned: int = 0
    measured: int = 0
    pruned: dict[str, int] = field(default_factory=dict)
    complete: bool = False
    crowded: bool = False
    proof: str = ""
    searched: Searched = Searched.WHOLE
    whole: float | None = None
    even: float | None = None
    searches: int = 1

    @property
    def gap(self) -> float:
        """The most that a better mapping could save, 0 to 1; see `gap_to`."""
        return gap_to(self.value, self.lower_bound)


@dataclass(frozen=True, repr=False)
class SearchResult(Shown):
    """The best mapping that a search found.

    Attributes
    ----------
    objective : str
        As `parse_objective` reads it: 'edp', or 'energy, cycles<=200000'.
    method : str
        'optimal', 'random' or 'exhaustive'.
    mapping : Mapping
        `load_mapping` reads what its `to_yaml` returns.
    result : Result
        The mapping, evaluated.
    certificate : Certificate
    history : tuple of Improvement
        Best mappings as they were found.
    seconds : float
    interrupted : bool
        Whether the user stopped the search.
    stopped : str
        The limit that ended it before its end, such as '60 s'; empty where none did.
    sparsity : Sparsity, optional
        The design with the formats that were chosen.
    """

    objective: str
    method: str
    mapping: Mapping
    result: Result
    certificate: Certificate
    history: tuple[Improvement, ...]
    seconds: float
    interrupted: bool = False
    stopped: str = ""
    sparsity: Sparsity | None = None

    @property
    def claim(self) -> str:
        """What is known of other mappings, a sentence without its end; first whether it is proven."""
        certificate, aim = self.certificate, parse_objective(self.objective)
        space = (
            f"{certificate.searched}{'' if self.sparsity is None else ', in any lists of ranks,'}{aim.within}"
        )
        if certificate.proven:
            return f"Proven: no mapping with {space} has {aim.better}"
        if certificate.lower_bound > 0:
            return f"Not proven: a mapping with {space} may have up to {certificate.gap:.1%} less"
        if self.method == "optimal" and (self.interrupted or self.stopped):
            return "Not proven: the search was stopped before it knew a lower bound"
        return "Not proven: this search knows no lower bound"

    def to_records(self) -> list[dict[str, Any]]:
        """Return the rows of the mapping's result; see `Result.to_records`."""
        return self.result.to_records()

    def to_yaml(self) -> str:
        """Return the mapping as text that `load_mapping` reads, with what is known of it as a comment."""
        return f"# {self.claim}.\n{self.mapping.to_yaml()}"

    def to_dict(self) -> dict[str, Any]:
        """Return all but the history as plain data."""
        certificate = self.certificate
        return {
            "objective": self.objective,
            "method": self.method,
            "seconds": self.seconds,
            "interrupted": self.interrupted,
            "stopped": self.stopped,
            "certificate": {
                **vars(certificate),
                "gap": certificate.gap,
                "unit": parse_objective(self.objective).unit,
            },
            **self.mapping.to_dict(),
            **({} if self.sparsity is None else self.sparsity.to_dict()),
            "result": self.result.to_dict(),
        }
