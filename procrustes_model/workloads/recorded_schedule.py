"""A training run from what was recorded while it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from procrustes_model.errors import Issue, SpecError
from procrustes_model.spec.network_density import ActivationDensity
from procrustes_model.spec.schedule import Schedule, SchedulePart
from procrustes_model.workloads.layer_matching import match_layers
from procrustes_model.workloads.mask_profile import profile_from_masks

if TYPE_CHECKING:
    from procrustes_model.spec.network import Network
    from procrustes_model.training.mask_densities import MaskDensities
    from procrustes_model.training.masks import MaskFile


def schedule_from_masks(
    masks: MaskDensities | MaskFile, network: Network, iterations: int | None = None
) -> Schedule:
    """Return the training run that was recorded: each step stands for those from it to the next one.

    What ran before the first recorded step is not part of it.

    Parameters
    ----------
    masks : MaskDensities or MaskFile
        As `load_mask_densities` returns it.
    network : Network
        Its layers are matched to the file's as `match_layers` says; each with weights must be there.
    iterations : int, optional
        Number of the iteration after the last one. Without it, the last recorded step stands for as many as
        the one before it.

    Returns
    -------
    Schedule
        One part per recorded step.

    Raises
    ------
    SpecError
        When there is no step, or only one and no end, the end is before the last step, or layers differ.
    """
    from procrustes_model.training.mask_densities import MaskDensities

    found = masks if isinstance(masks, MaskDensities) else masks.densities()
    found.find_step(None)
    steps = list(found.steps)
    if iterations is None:
        if len(steps) < 2:
            message = "only one step was recorded: nothing says for how many iterations it stands"
            raise SpecError(Issue(message, "--iterations tells where the run ends", found.file))
        iterations = 2 * steps[-1] - steps[-2]
    if iterations <= steps[-1]:
        message = f"the run cannot end at iteration {iterations}: step {steps[-1]} was recorded"
        raise SpecError(Issue(message, f"--iterations {steps[-1] + 1} or more", found.file))
    names = match_layers(found, network)
    missing = [layer.name for layer in network.layers if layer.weights and layer.name not in names]
    if missing:
        message = f"no masks of {', '.join(missing[:5])} of {network.name}"
        raise SpecError(Issue(message, "every layer with weights needs them", found.file))
    parts = []
    for row, (step, following) in enumerate(zip(steps, [*steps[1:], iterations], strict=True)):
        profile = profile_from_masks(found, network, step)
        gradients = {
            name: float(found.gradients[row, found.names.index(in_file)]) for name, in_file in names.items()
        }
        known = {name: value for name, value in gradients.items() if not np.isnan(value)}
        parts.append(
            SchedulePart(
                iterations=following - step,
                weights=profile.weights,
                activations=profile.activations,
                gradients=ActivationDensity(layers=known),
            )
        )
    return Schedule(name="recorded", source=found.source[:10_000], parts=tuple(parts))
