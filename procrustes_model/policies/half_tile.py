"""What Procrustes does: tiles are cut in two, and halves paired."""

from procrustes_model.policies.policy import Policy
from procrustes_model.vocabulary import Assignment

POLICY = Policy(
    name="half_tile",
    rule="tiles are cut in two, largest halves paired with smallest",
    text="half tiles",
    pieces=2,
    assignment=Assignment.FOLD,
)
