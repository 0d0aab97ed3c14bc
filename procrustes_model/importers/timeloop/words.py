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

METADATA_BITS = ("metadata_datawidth", "metadata_word_bits")
METADATA_WIDTH = ("metadata_storage_width", "metadata_width")
METADATA_DEPTH = ("metadata_storage_depth", "metadata_depth")
"""The store of metadata: bits that a field has where its rank does not say, bits of a row, rows."""

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
        *METADATA_BITS,
        *METADATA_WIDTH,
        *METADATA_DEPTH,
        "metadata_block_size",
        "decompression_supported",
        "compression_supported",
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
GATED_COMPUTES = ("mac_gated", "mult_gated", "compute_gated", "mac", "mult", "compute")
SKIPPED_COMPUTES = ("mac_skipped", "mult_skipped", "compute_skipped", *GATED_COMPUTES)
SAVED: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "gated": {
            "read": ("gated_read",),
            "write": ("gated_fill", "gated_write"),
            "update": ("gated_update", "gated_write"),
        },
        "skipped": {
            "read": ("skipped_read", "gated_read"),
            "write": ("skipped_fill", "skipped_write", "gated_fill", "gated_write"),
            "update": ("skipped_update", "skipped_write", "gated_update", "gated_write"),
        },
    }
)
"""Names of accesses that zeros save, the first one that is in the table counts; without any they are free."""
SAVED_OTHERWISE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"read": ("idle", "read"), "write": ("idle", "write"), "update": ("idle", "write")}
)
"""What they cost in years in which they are never free; see `Year.idle`."""
METADATA: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "read": ("random_metadata_read", "metadata_read"),
        "write": (
            "random_metadata_fill",
            "random_metadata_write",
            "metadata_fill",
            "metadata_write",
        ),
        "update": (
            "random_metadata_update",
            "random_metadata_write",
            "metadata_update",
            "metadata_write",
        ),
    }
)
CODECS = ("compression", "decompression")
"""What a level does with a tensor that it stores with its zeros, and the level outside without them."""


def codec_of(level: str, kind: str, tensor: str) -> str:
    """Return what a component is called that compresses or decompresses a tensor at a level."""
    return f"{level} {kind} of {tensor}"


METADATA_OTHERWISE = ("metadata_idle", "idle")
METADATA_SAVED: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "gated": {
            "read": ("gated_metadata_read",),
            "write": ("gated_metadata_fill", "gated_metadata_write"),
            "update": ("gated_metadata_update", "gated_metadata_write"),
        },
        "skipped": {
            "read": ("skipped_metadata_read",),
            "write": ("skipped_metadata_fill", "skipped_metadata_write"),
            "update": ("skipped_metadata_update", "skipped_metadata_write"),
        },
    }
)
"""Names of metadata of accesses that zeros save; without one, skipped ones cost what gated ones do."""
METADATA_SAVED_OTHERWISE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "read": ("metadata_idle", "metadata_read"),
        "write": ("metadata_idle", "metadata_write"),
        "update": ("metadata_idle", "metadata_write"),
    }
)
"""What these cost in years in which they are never free."""

FIXED = "fixed"
DISTRIBUTIONS: Mapping[str, str] = MappingProxyType(
    {FIXED: "fixed", "fixed_structured": "fixed", "hypergeometric": "hypergeometric"}
)
"""Distributions of nonzeros and the density models that they are; without a name it is the first."""
UNSAID_DISTRIBUTIONS: Mapping[str, str] = MappingProxyType(
    {
        "banded": "a band of nonzeros",
        "diagonal": "a band of nonzeros",
    }
)
LISTED = ("real_data", "actual_data")
"""Distributions that name a file with the nonzeros."""
DENSITIES = ("densities", "data_densities", "commonDensities")

ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "gating": "gate",
        "skipping": "skip",
        "skipping_spatial": "skip_space",
        "position_skipping": "skip_positions",
    }
)
"""Types of action optimizations, and the keys of the actions that they are."""
COMPUTE_ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "gating": "gate",
        "gate_on_zero_operand": "gate",
        "skipping": "skip",
        "skip_on_not_aligned_operands": "skip",
    }
)

RANKS: Mapping[str, bool] = MappingProxyType(
    {"U": False, "UOP": False, "UB": False, "CP": True, "B": True, "RLE": True}
)
"""Formats of a rank, and whether it leaves empty coordinates out."""

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
    idle : bool
        Whether a saved access without a price of its own costs an idle cycle, or what it saves; else nothing.
    ranks : str
        How ranks of formats take loops: each dimension any number of times, or once.
    ports : str
        Whether metadata in a store of their own take the bandwidth of the data.
    hyphens : bool
        Whether the bits of a payload are read where their key has hyphens. One version replaces part of these
        first, and then finds neither form of the key.
    """

    rules: Rules
    dearest: bool = False
    own_updates: bool = False
    leakage: bool = False
    streams: bool = True
    idle: bool = False
    ranks: str = "loops"
    ports: str = "shared"
    hyphens: bool = True


YEARS: Mapping[str, Year] = MappingProxyType(
    {
        "2020": Year(Rules(output_fills="all", access_energy="largest"), dearest=True, ports="own"),
        "2021": Year(Rules(output_fills="all"), idle=True, ports="own"),
        "2022": Year(Rules(output_fills="all"), idle=True, ranks="loops_2022"),
        "2025": Year(Rules(), own_updates=True, leakage=True, streams=False, hyphens=False),
    }
)
"""Sets of rules by the year of the tool that follows them."""
NEWEST = "2025"
