"""Every tile has the same share of nonzeros: no imbalance, and no empty tile of an element or more."""

from procrustes_model.densities.rule import DensityRule
from procrustes_model.vocabulary import DensityModel

DENSITY = DensityRule(
    name="fixed",
    rule="the same share of any tile",
    keys=("density",),
    code=DensityModel.FIXED,
    average=lambda given: float(given["density"]),
)
