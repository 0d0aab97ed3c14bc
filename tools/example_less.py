"""Train a small network on handwritten digits in two sparse ways, and cost each on a machine made for it.

    python tools/example_less.py out/example_less

2:4 weights from scratch on a machine with sparse tensor cores, and dense and sparse parts in turn on
Procrustes, both beside dense training. Prints accuracies and energies, and writes into the folder: report.md
with a figure (PNG and SVG), the numbers as CSV, the masks of every run, and the network as YAML. Takes some
minutes on two cores. Needs torch, scikit-learn and matplotlib: `make example-less` installs them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from example_less_report import WAYS, LessRun, write_report
from example_runs import Epoch
from example_training import BATCH, RATE, Digits, load_data, make_network

from procrustes_model.training import (
    NM,
    Alternate,
    MaskedSGD,
    Operands,
    Recorder,
    TopK,
    save_masks,
    use_operands,
)
from procrustes_model.training.torch_library import torch

TWO_OF_FOUR = Operands(forward_weights=NM(2, 4, "C", short_groups="dense"), decay=2e-4)
"""Along the input channels, as the machine takes them; the first layer has one channel and is dense."""

SPARSE = TopK(0.1)


def alternation(iterations: int) -> Alternate:
    """Return dense and sparse parts in turn: a tenth of the run each, the last three tenths sparse."""
    tenth = iterations // 10
    turns = [(tenth, SPARSE), (tenth, None)] * 3
    return Alternate(((tenth, None), *turns, (3 * tenth, SPARSE)))


def make(way: str, iterations: int) -> tuple[torch.nn.Module, Any]:
    """Return a network and its optimizer."""
    network = make_network()
    options: dict[str, Any] = {"lr": RATE, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    if way == "2:4":
        use_operands(network, TWO_OF_FOUR)
    if way == "alternation":
        return network, MaskedSGD(network.parameters(), masks=alternation(iterations), **options)
    return network, torch.optim.SGD(network.parameters(), **options)


def train(data: Digits, way: str, seed: int, epochs: int) -> LessRun:
    """Train one network, and record it in the middle of every epoch: what comes back is zero at first.

    Parameters
    ----------
    data : Digits
    way : str
        One of `WAYS`, or 'dense'.
    seed : int
        Of the initial values and of the order of the images; the same seed gives the same result.
    epochs : int

    Returns
    -------
    LessRun
    """
    torch.manual_seed(seed)
    batches = len(data.train_labels) // BATCH
    total = epochs * batches
    network, optimizer = make(way, total)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    accuracies = []
    with Recorder(network, optimizer, steps=range(batches // 2, total, batches)) as recorder:
        for _ in range(epochs):
            network.train()
            order: Any = torch.randperm(len(data.train_labels))
            for batch in order[: batches * BATCH].split(BATCH):
                optimizer.zero_grad()
                loss: Any = torch.nn.functional.cross_entropy(
                    network(data.train_images[batch]), data.train_labels[batch]
                )
                loss.backward()
                optimizer.step()
                scheduler.step()
            network.eval()
            with torch.no_grad():
                found: Any = network(data.test_images).argmax(1) == data.test_labels
            accuracies.append(found.float().mean().item())
    masks = recorder.result()
    densities = masks.densities().total("weights")
    return LessRun(
        way,
        seed,
        tuple(
            Epoch(accuracy, float(density), float(density))
            for accuracy, density in zip(accuracies, densities, strict=True)
        ),
        masks,
    )


def main() -> None:
    """Train, evaluate what was recorded, and write the report into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--threads", type=int, default=1, help="of torch, while training")
    parser.add_argument("--seconds", type=float, default=20.0, help="time limit of each search of a mapping")
    options = parser.parse_args()
    if options.epochs < 10 or options.epochs % 10 or options.seeds < 1:
        parser.error("epochs are 10, 20, 30, ... and there is one seed or more")
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    data, runs = load_data(), []
    for way in ("dense", *WAYS):
        for seed in range(options.seeds):
            start = time.perf_counter()
            run = train(data, way, seed, options.epochs)
            save_masks(run.file_in(options.folder), run.masks)
            runs.append(run)
            print(f"trained {way}, seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    write_report(runs, options.folder, options.seconds)


if __name__ == "__main__":
    main()
