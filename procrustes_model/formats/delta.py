"""Delta-coded coordinates, a row per position of the tensor's first rank.

In a row every nonzero says in a field of fixed width how far it is from the one before, or from the row's
beginning. A distance of k is a run of k - 1 zeros, and one that does not fit takes zeros that are stored in
between, as a run does, also after the last nonzero. Offsets count entries, stored zeros too: at most one per
position.
"""

from __future__ import annotations

from procrustes_model.formats.rank import FIRST, REST, StorageFormat, offset_pairs, runs

DELTA = StorageFormat(
    name="delta",
    text="an offset per row, and per nonzero the distance from the last",
    ranks=(offset_pairs(FIRST), runs(REST, run_bits="run_bits")),
)
