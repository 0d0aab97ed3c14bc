"""Delta-coded coordinates, a row per position of the tensor's first rank.

In a row every nonzero says in a field of fixed width how far it is from the one before, or from the row's
beginning. A distance of k is a run of k - 1 zeros, and one that does not fit takes zeros that are stored in
between, as a run does, also after the last nonzero. Offsets count entries, stored zeros too: at most one per
position.

Two things are not modelled, as in runs: the zeros that are stored take fields, but no words of data; and the
end of a row cuts its last run, so that the price is above the mean over patterns, by less than an entry per
row.
"""

from __future__ import annotations

from procrustes_model.formats.rank import FIRST, REST, StorageFormat, offset_pairs, runs

DELTA = StorageFormat(
    name="delta",
    text="an offset per row, and per nonzero the distance from the last",
    ranks=(offset_pairs(FIRST), runs(REST, run_bits="run_bits")),
)
