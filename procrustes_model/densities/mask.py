"""A file says which elements are zero. What is not counted on the mask itself is taken to lie anywhere."""

from procrustes_model.densities.hypergeometric import draw_anywhere
from procrustes_model.densities.rule import DensityRule
from procrustes_model.vocabulary import DensityModel

DENSITY = DensityRule(
    name="mask",
    rule="a file says which",
    keys=("mask",),
    code=DensityModel.HYPERGEOMETRIC,
    average=lambda _: None,
    known_total=True,
    draw=draw_anywhere,
)
