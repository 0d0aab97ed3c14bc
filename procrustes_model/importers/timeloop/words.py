"""The words of Timeloop's files, and what each means here: tables, so that a new word is a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from procrustes_model.spec.rules import Rules

TAGS_READ = ("Container", "Component", "Parallel", "Hierarchical", "Pipelined", "Nothing")
"""Tags of nodes in an architecture of version 0.4."""

COMPUTE_CLASSES = ("mac", "compute")
STORAGE_CLASSES = ("dram", "sram", "regfile", "smartbuffer", "storage")
NETWORK_CLASSES = ("xy_noc", "legacy", "reductiontree", "simplemulticast")
"""Parts of the names of classes, in lower case: the tool looks for them in a component's class."""
UNLIMITED_CLASS = "dram"
"""Storage of such a class has no capacity."""
FANOUT_CLASSES = ("dummy_storage", "dummystorage")
"""Storage that the tool's front end puts where a container fans out; it holds nothing."""

WORD_BITS = ("word_bits", "word_width", "datawidth")
DEFAULT_WORD_BITS = 16
BLOCK = ("block_size", "n_words")
WIDTH = ("width", "memory_width", "data_storage_width")
DEPTH = ("depth", "memory_depth", "data_storage_depth")
ENTRIES = ("entries",)
KILOBYTES = ("sizeKB",)
CLUSTER = ("cluster_size",)
BUFFERING = ("multiple_buffering",)
BANDWIDTHS = ("read_bandwidth", "write_bandwidth", "shared_bandwidth")
OLD_BANDWIDTH = ("bandwidth",)
"""Of reads and writes together; the tool gives half to each."""
MESHES = ("meshX", "meshY")

GIVEN_ENERGY = ("vector_access_energy",)
"""Attributes in which a level states the energy of an access itself."""

UNSAID: Mapping[str, tuple[object, str]] = MappingProxyType(
    {
        "reduction_supported": (True, "a level that cannot add partial sums"),
        "has_power_gating": (False, "leakage that ends in unused instances"),
        "allow_overbooking": (False, "tiles larger than their level"),
        "min_utilization": (0, "a least use of a level's capacity"),
        "network_read": (None, "a network between levels"),
        "network_fill": (None, "a network between levels"),
        "network_drain": (None, "a network between levels"),
        "network_update": (None, "a network between levels"),
    }
)
"""Attributes with an effect that cannot be said, the value that has none, and what is missing."""

READ_ATTRIBUTES = frozenset(
    (
        *WORD_BITS,
        *BLOCK,
        *WIDTH,
        *DEPTH,
        *ENTRIES,
        *KILOBYTES,
        *BUFFERING,
        *BANDWIDTHS,
        *OLD_BANDWIDTH,
        *MESHES,
        *GIVEN_ENERGY,
        "instances",
        "technology",
    )
)
"""Attributes that are translated; all others are for the estimator of energies, but for the ones above."""

NETWORK_ATTRIBUTES = ("network_read", "network_fill", "network_drain", "network_update")

SPARSE = ("sparse_optimizations",)
"""What makes a design sparse: at the top level of a file, or in a component of version 0.4."""

NO_EFFECT: Mapping[str, str] = MappingProxyType(
    {
        "compound_components": "how the tables of energies were made",
        "ART": "areas: no part of energies and cycles",
        "ART_summary": "areas: no part of energies and cycles",
        "ERT_summary": "a summary of the table of energies",
        "mapper": "how that tool searches",
        "globals": "settings of that tool's front end",
        "dumped_by_timeloop_front_end": "a mark of that tool's front end",
        "energy_estimation": "how the tables of energies were made",
        "version": "the dialect is read from the form",
    }
)
"""Top-level keys that change no number, with the reason."""

SETTINGS: Mapping[str, tuple[str, ...]] = MappingProxyType({"model": ("verbose", "version")})
"""Top-level keys that change no number as long as they hold no other keys than these."""

READS = ("read", "random_read", "vector_read")
WRITES = ("write", "random_fill", "vector_write", "fill")
UPDATES = ("update", "random_update")
LEAKS = ("leak",)
COMPUTES = ("compute", "mac_random", "random_compute", "mac", "mult", "multiply")
"""Names of actions in a table of energies, the first one that is there counts."""

WIRE = "wire"
"""The table of energies of wires; that tool multiplies them by lengths that follow from areas."""


@dataclass(frozen=True)
class Year:
    """What changed between versions of the tool, for one set of rules.

    Attributes
    ----------
    rules : Rules
        How accesses are counted and priced.
    dearest : bool
        Whether all accesses of a level cost the dearest action of its table.
    own_updates : bool
        Whether updates have a price of their own; else they cost a write.
    leakage : bool
        Whether instances leak.
    streams : bool
        Whether a tensor that a level bypasses and streams is read and written there.
    """

    rules: Rules
    dearest: bool = False
    own_updates: bool = False
    leakage: bool = False
    streams: bool = True


YEARS: Mapping[str, Year] = MappingProxyType(
    {
        "2020": Year(Rules(output_fills="all", access_energy="largest"), dearest=True),
        "2022": Year(Rules(output_fills="all")),
        "2025": Year(Rules(), own_updates=True, leakage=True, streams=False),
    }
)
"""Sets of rules by the year of the tool that follows them."""
NEWEST = "2025"
