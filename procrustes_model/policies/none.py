"""Nothing is balanced."""

from procrustes_model.policies.policy import Policy
from procrustes_model.vocabulary import Assignment

POLICY = Policy(
    name="none",
    rule="each processing element works on its own tile",
    text="nothing",
    pieces=1,
    assignment=Assignment.OWN,
)
