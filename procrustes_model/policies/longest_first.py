"""The greedy rule of scheduling, longest processing time first (Graham 1969), on quarters of tiles."""

from procrustes_model.policies.policy import Policy
from procrustes_model.vocabulary import Assignment

POLICY = Policy(
    name="longest_first",
    rule="tiles are cut in four, and quarters go, largest first, to the element with the least work so far",
    text="quarter tiles",
    pieces=4,
    assignment=Assignment.GREEDY,
)
