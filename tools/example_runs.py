"""The runs of the training example: what training hands to the report."""

from __future__ import annotations

from dataclasses import dataclass

from procrustes_model.training import MaskFile


@dataclass(frozen=True)
class Epoch:
    """Where a run stood after an epoch.

    Accuracy is a share of the test images; both densities are of the weights that take part in selection.
    """

    accuracy: float
    storage_density: float
    compute_density: float


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes
    ----------
    factor : int
        How many times fewer weights.
    sorted_weights : bool
        Whether weights were sorted, in place of the quantile's estimate.
    seed : int
    epochs : tuple of Epoch
    tracked : tuple of float
        Share of weights that was tracked, by iteration; empty of dense training.
    masks : MaskFile
        Recorded in the first iteration of every epoch.
    """

    factor: int
    sorted_weights: bool
    seed: int
    epochs: tuple[Epoch, ...]
    tracked: tuple[float, ...]
    masks: MaskFile

    @property
    def name(self) -> str:
        """What reports call it, without its seed."""
        if self.factor == 1:
            return "dense"
        return f"{self.factor}x fewer" + (", sorted" if self.sorted_weights else "")
