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
    def writes(self) -> Role:
        """The role of the tensor that the phase accumulates into: the output, or the gradient of another."""
        return _WRITES[self]

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


class Role(StrEnum):
    """What a tensor is in a layer that is trained; its value is what shapes say."""

    WEIGHTS = "weights"
    INPUT = "input"
    OUTPUT = "output"

    @property
    def tensor(self) -> str:
        """The name of this tensor in convolutions, and where something is said of all layers of a network."""
        return _ROLE_TENSORS[self]

    @property
    def letters(self) -> str:
        """What options call the tensor, one letter each, the usual one first."""
        return _ROLE_LETTERS[self]

    @classmethod
    def of_tensor(cls, name: str) -> Role | None:
        """Return the role of a tensor where only its name says it; None where the name says nothing."""
        return next((role for role in cls if role.tensor == name), None)

    @classmethod
    def of_letter(cls, letter: str) -> Role | None:
        """Return the role that a letter of either case stands for, if any."""
        return next((role for role in cls if len(letter) == 1 and letter.upper() in role.letters), None)


_ROLE_TENSORS = {Role.WEIGHTS: "Weights", Role.INPUT: "Inputs", Role.OUTPUT: "Outputs"}
_WRITES = {Phase.FORWARD: Role.OUTPUT, Phase.BACKWARD: Role.INPUT, Phase.WEIGHT_UPDATE: Role.WEIGHTS}
_ROLE_LETTERS = {Role.WEIGHTS: "W", Role.INPUT: "XI", Role.OUTPUT: "YO"}


class LevelRole(StrEnum):
    """What a storage level is on a machine: how a sparse design names levels that any machine may have.

    Where the array begins, and which levels have a role for a tensor, `spec.level_roles` finds.
    """

    OFF_CHIP = "off_chip"
    SHARED = "shared"
    ARRAY = "array"
    INNERMOST = "innermost"

    @property
    def rule(self) -> str:
        """Which levels of a machine have the role, for a tensor that they may keep."""
        return _LEVEL_ROLES[self]


_LEVEL_ROLES = {
    LevelRole.OFF_CHIP: "the outermost level that stores anything, unless it is one of the array",
    LevelRole.SHARED: "the levels between it and the array",
    LevelRole.ARRAY: "the levels of processing elements: all from the innermost mesh of storage inwards; "
    "without a mesh, the innermost storage and what lies beside it",
    LevelRole.INNERMOST: "the innermost level that may keep the tensor, whichever of the others it is",
}

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


class Price(IntEnum):
    """What a storage level charges for; the position in the last axis of a table of prices.

    The first ones are the actions, in their order; the next ones the same of metadata, and of accesses that
    are gated, and skipped.
    """

    READ = 0
    FILL = 1
    UPDATE = 2
    METADATA_READ = 3
    METADATA_FILL = 4
    METADATA_UPDATE = 5
    GATED_READ = 6
    GATED_FILL = 7
    GATED_UPDATE = 8
    SKIPPED_READ = 9
    SKIPPED_FILL = 10
    SKIPPED_UPDATE = 11
    METADATA_GATED_READ = 12
    METADATA_GATED_FILL = 13
    METADATA_GATED_UPDATE = 14
    METADATA_SKIPPED_READ = 15
    METADATA_SKIPPED_FILL = 16
    METADATA_SKIPPED_UPDATE = 17


class Served(StrEnum):
    """What a component of a machine serves, and so when it works."""

    ALWAYS = "always"
    COMPRESSION = "compression"
    BALANCING = "balancing"
    PRUNING = "pruning"


class WorkSpread(StrEnum):
    """How the work that zeros leave lies on processing elements; its value is what files and tables say."""

    EVEN = "even"
    IDEAL = "even (ideal)"
    EXPECTED = "expected"
    COUNTED = "counted"

    @property
    def rule(self) -> str:
        """What that means for the cycles."""
        return _SPREADS[self]


_SPREADS = {
    WorkSpread.EVEN: "all processing elements have the same work",
    WorkSpread.IDEAL: "they are taken to have, which makes cycles a lower bound",
    WorkSpread.EXPECTED: "cycles are those of the slowest one, expected",
    WorkSpread.COUNTED: "the same, counted on a mask",
}


class Saving(IntEnum):
    """What becomes of an access that need not be done."""

    NOTHING = 0
    GATED = 1
    SKIPPED = 2
    SPACED = 3


class Compute(IntEnum):
    """What becomes of a computation; the position in the last axis of counts and prices."""

    DONE = 0
    GATED = 1
    SKIPPED = 2


class Searched(StrEnum):
    """The mappings of which a search proves something: what their factors may be, as prose says it."""

    WHOLE = "factors that divide the bounds"
    SHORTER = "last passes of any length, in time and in space"
    UNEVEN = "factors that divide the bounds, even or uneven,"


class Status(IntEnum):
    """What can be said of a mapping: it is valid, or why not."""

    OK = 0
    OVERFLOW = 1
    BAD_FACTORS = 2
    BAD_FANOUT = 3
    BAD_KEEP = 4
    BAD_CAPACITY = 5
    BAD_DESIGN = 6
    BAD_HOME = 7
    BAD_RANKS = 8

    @property
    def text(self) -> str:
        """The reason, as a sentence without its end."""
        return _REASONS[self]


_REASONS = {
    Status.OK: "the mapping is valid",
    Status.OVERFLOW: "a count exceeds 2^62, beyond which counts are not exact",
    Status.BAD_FACTORS: "the mapping's loops do not cover the problem's bounds",
    Status.BAD_FANOUT: "the mapping's spatial factors exceed the architecture's fan-out",
    Status.BAD_KEEP: "the mapping does not keep every tensor at the outermost level that may keep it",
    Status.BAD_CAPACITY: "tiles do not fit",
    Status.BAD_DESIGN: "what the sparse design states would save nothing, for what the mapping keeps",
    Status.BAD_RANKS: "a format has no rank left for a loop that divides a tile",
    Status.BAD_HOME: "a tensor is not whole where it begins and ends: loops further out divide it",
}


class Topology(IntEnum):
    """How the instances below a level are wired to it; files use the names in lower case.

    Each code is a line in `kernels.dense.wires`; the numbers belong to nobody but kernels.
    """

    LINK = 0
    BUS = 1
    MESH = 2
    TREE = 3
    CROSSBAR = 4

    @property
    def text(self) -> str:
        """The name that files use."""
        return self.name.lower()


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


class Quantity(IntEnum):
    """How many fields of metadata of one sort a tile has in a storage format; see `formats.rank`."""

    FIBERS = 0
    """One per fiber of the rank: the tile's positions in the ranks outside."""
    POSITIONS = 1
    """One per position of the rank in every fiber."""
    BLOCKS = 2
    """One per block of positions; of a block that is not full its share."""
    NONZEROS = 3
    """One per nonzero of the tile."""
    ENTRIES = 4
    """One per nonzero, and per zero that ends a run as long as its field can say."""
    WHOLE_BLOCKS = 5
    """One per block of positions, also of one that is not full."""


class Width(IntEnum):
    """The bits of a field of metadata, before a coefficient."""

    ONE = 0
    INDEX = 1
    """Tells the positions of a fiber apart."""
    OFFSET = 2
    """Tells every number of nonzeros apart that the tile may have: 0 to all of its positions."""


class RankKind(IntEnum):
    """How a rank of a format that lists its ranks stores the positions of a fiber; files use the names."""

    U = 0
    """All of them, in order."""
    B = 1
    """A bit per position; those without a nonzero are left out."""
    UB = 2
    """A bit per position; all are stored."""
    CP = 3
    """The index of every position that has a nonzero."""
    RLE = 4
    """The positions passed before every one that has a nonzero; those that end a run are stored."""
    UOP = 5
    """Where what lies further in begins, for every position, and a last end."""


class FormatRanks(IntEnum):
    """What a rank of a format is that lists its ranks; rules use the names in lower case."""

    DIMENSIONS = 0
    LOOPS = 1
    LOOPS_2022 = 2


class DensityModel(IntEnum):
    """How it is known which elements of a tensor are zero, for kernels."""

    DENSE = 0
    HYPERGEOMETRIC = 1
    FIXED = 2
    STRUCTURED = 3
    NESTED = 4
    """Structured in groups through several ranks, or in groups of groups."""
    ROWS = 5
    """A known number of nonzeros in every row, anywhere in it."""


class Assignment(IntEnum):
    """How the pieces of tiles are given to processing elements that wait for each other.

    Each code is a few lines in `kernels.imbalance.policies`; the numbers belong to nobody but kernels.
    """

    OWN = 0
    """Each element keeps what it has."""
    FOLD = 1
    """Pieces sorted by work are laid out to and fro, so that the largest meets the smallest."""
    GREEDY = 2
    """Pieces go, largest first, to the element that has the least work so far."""
