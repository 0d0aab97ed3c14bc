"""Nothing is zero."""

from procrustes_model.densities.rule import DensityRule
from procrustes_model.vocabulary import DensityModel

DENSITY = DensityRule(
    name="dense", rule="nothing is zero", keys=(), code=DensityModel.DENSE, average=lambda _: 1.0
)
