"""The words of the field that this package uses: each is defined here once, and all else reads it.

Imports nothing of the package, so that everything may import it. Members of whole-number enumerations are
what kernels see; names are what users write and read.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Phase(StrEnum):
    """A phase of training; its value is what files and tables say."""

    FORWARD = "forward"
    BACKWARD = "backward"
    WEIGHT_UPDATE = "weight_update"

    @property
    def short(self) -> str:
        """Two letters, for options, file names and narrow columns."""
        return _SHORT_PHASES[self]

    @property
    def text(self) -> str:
        """The name as prose writes it."""
        return self.value.replace("_", " ")

    @property
    def suffix(self) -> str:
        """What names of shapes end in; nothing in the forward phase."""
        return "" if self is Phase.FORWARD else f"_{self.value}"

    @classmethod
    def parse(cls, word: str) -> Phase:
        """Return the phase that a long or a short name stands for.

        Raises
        ------
        ValueError
            When it is neither.
        """
        for phase in cls:
            if word in (phase.value, phase.short):
                return phase
        raise ValueError(f"unknown phase '{word}'; one of {', '.join(phase.short for phase in cls)}")


_SHORT_PHASES = {Phase.FORWARD: "fw", Phase.BACKWARD: "bw", Phase.WEIGHT_UPDATE: "wu"}

PHASES = tuple(Phase)
"""In the order of a training step."""

ALL_PHASES = "all"
"""What options and tables call all phases together."""

DATAFLOWS = ("KN", "CN", "CK", "PQ")
"""Which two dimensions are spread over the columns and the rows of an array."""

ANY_DATAFLOW = "any"
"""In place of a dataflow: nothing is prescribed."""


def short_phase(name: str) -> str:
    """Return the two letters of a phase's name, or `ALL_PHASES` as it is."""
    return name if name == ALL_PHASES else Phase(name).short


class Action(IntEnum):
    """What a storage level does with words; the position in the last axis of counts and energies."""

    READ = 0
    FILL = 1
    UPDATE = 2

    @property
    def text(self) -> str:
        """The name that tables and files use."""
        return self.name.lower()


class Saving(IntEnum):
    """What becomes of an access that need not be done."""

    NOTHING = 0
    GATED = 1
    SKIPPED = 2


class Compute(IntEnum):
    """What becomes of a computation; the position in the last axis of counts and prices."""

    DONE = 0
    GATED = 1
    SKIPPED = 2


class Status(IntEnum):
    """What can be said of a mapping: it is valid, or why not."""

    OK = 0
    OVERFLOW = 1
    BAD_FACTORS = 2
    BAD_FANOUT = 3
    BAD_KEEP = 4
    BAD_CAPACITY = 5

    @property
    def text(self) -> str:
        """The reason, as a sentence without its end."""
        return _REASONS[self]


_REASONS = {
    Status.OK: "the mapping is valid",
    Status.OVERFLOW: "a count exceeds 2^62, beyond which counts are not exact",
    Status.BAD_FACTORS: "the mapping's loops do not cover the problem's bounds",
    Status.BAD_FANOUT: "the mapping's spatial factors exceed the architecture's fan-out",
    Status.BAD_KEEP: "the mapping does not keep every tensor at the outermost level",
    Status.BAD_CAPACITY: "tiles do not fit",
}


class Limit(IntEnum):
    """What sets the cycles of a level."""

    COMPUTE = 0
    READ = 1
    WRITE = 2
    SHARED = 3

    @property
    def text(self) -> str:
        """The name that tables and files use."""
        return "compute" if self is Limit.COMPUTE else f"{self.name.lower()} bandwidth"


class DensityModel(IntEnum):
    """How it is known which elements of a tensor are zero; files use the names in lower case."""

    DENSE = 0
    HYPERGEOMETRIC = 1
    FIXED = 2
    STRUCTURED = 3
