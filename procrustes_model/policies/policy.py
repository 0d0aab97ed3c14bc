"""What a balancing policy is."""

from __future__ import annotations

from dataclasses import dataclass

from procrustes_model.vocabulary import Assignment


@dataclass(frozen=True, slots=True)
class Policy:
    """How the work of processing elements that wait for each other is evened out.

    Attributes
    ----------
    name : str
        What users write, and results say.
    rule : str
        What it does, as the reference says it.
    text : str
        What is balanced, as reports say it: "after balancing <text>".
    pieces : int
        Into how many equal pieces a tile is cut, along one dimension.
    assignment : Assignment
        How the pieces of all tiles of an array-level tile are given to its processing elements.

    Raises
    ------
    ValueError
        When tiles are cut and nothing is moved, or the other way round.
    """

    name: str
    rule: str
    text: str
    pieces: int
    assignment: Assignment

    def __post_init__(self) -> None:
        if self.pieces < 1 or (self.pieces > 1) != (self.assignment != Assignment.OWN):
            raise ValueError(f"policy '{self.name}': tiles are cut if and only if pieces are moved")

    @property
    def balances(self) -> bool:
        """Whether processing elements work on pieces of each other's tiles."""
        return self.assignment != Assignment.OWN
