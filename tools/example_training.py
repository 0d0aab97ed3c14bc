"""Train a small network on handwritten digits, dense and with few weights, and record its masks.

    python tools/example_training.py out/example_training

Prints accuracies side by side, and writes into the folder: accuracy.csv (one row per run and epoch), the
masks of every run, and a figure of accuracy and density per epoch. Takes about a minute on one core. Needs
torch, scikit-learn and matplotlib.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from procrustes_model.training import MaskFile, ProcrustesSGD, Recorder, save_masks
from procrustes_model.training.torch_library import torch

FACTORS = (1, 5, 10)
"""How many times fewer weights; 1 is dense training."""

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLORS = {1: "#000000", 5: "#0072B2", 10: "#D55E00"}
BATCH = 64
RATE = 0.03
"""Of 0.1, 0.03 and 0.01: the worst of its 24 runs was best, on a fifth of the training images held out."""


@dataclass(frozen=True)
class Digits:
    """Images of 8 x 8 pixels, standardised, and their labels: a part to train with, and one to test with."""

    train_images: Any
    train_labels: Any
    test_images: Any
    test_labels: Any


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
    """One training run: how many times fewer weights, the seed, its epochs, and what was recorded."""

    factor: int
    seed: int
    epochs: tuple[Epoch, ...]
    masks: MaskFile


def load_data() -> Digits:
    """Return scikit-learn's digits: 1198 images to train with and 599 to test with, always the same."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=1 / 3, random_state=0, stratify=labels)
    center, spread = parts[0].mean(), parts[0].std()
    tensors = [torch.tensor((part - center) / spread, dtype=torch.float32) for part in parts[:2]]
    shaped = [tensor.reshape(-1, 1, 8, 8) for tensor in tensors]
    return Digits(shaped[0], torch.tensor(parts[2]), shaped[1], torch.tensor(parts[3]))


def make_network() -> torch.nn.Module:
    """Return a network of two convolutions and two fully connected layers, 38,160 weights."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def make_optimizer(network: torch.nn.Module, factor: int, seed: int) -> Any:
    """Return SGD with momentum, or the same inside a ProcrustesSGD that keeps 1 of `factor` weights."""
    options: dict[str, Any] = {"lr": RATE, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    if factor == 1:
        return torch.optim.SGD(network.parameters(), **options)
    return ProcrustesSGD(network.parameters(), keep=1 / factor, seed=seed, **options)


def measure(network: torch.nn.Module, optimizer: Any, data: Digits) -> Epoch:
    """Return the accuracy on the test images, and the densities now."""
    network.eval()
    with torch.no_grad():
        accuracy = (network(data.test_images).argmax(1) == data.test_labels).float().mean().item()
    if isinstance(optimizer, ProcrustesSGD):
        return Epoch(accuracy, optimizer.storage_density(), optimizer.compute_density())
    return Epoch(accuracy, 1.0, 1.0)


def train(data: Digits, factor: int, seed: int, epochs: int) -> Run:
    """Train one network, and record its masks in the first step of every epoch.

    Parameters
    ----------
    data : Digits
    factor : int
        How many times fewer weights.
    seed : int
        Of the initial values and of the order of the images; the same seed gives the same result.
    epochs : int

    Returns
    -------
    Run
    """
    torch.manual_seed(seed)
    network = make_network()
    optimizer = make_optimizer(network, factor, seed)
    batches = len(data.train_labels) // BATCH
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    found = []
    with Recorder(network, optimizer, every=batches) as recorder:
        for _ in range(epochs):
            network.train()
            order: Any = torch.randperm(len(data.train_labels))
            for batch in order[: batches * BATCH].split(BATCH):
                optimizer.zero_grad()
                scores = network(data.train_images[batch])
                loss: Any = torch.nn.functional.cross_entropy(scores, data.train_labels[batch])
                loss.backward()
                optimizer.step()
                scheduler.step()
            found.append(measure(network, optimizer, data))
    return Run(factor, seed, tuple(found), recorder.result())


def write_accuracy(runs: Sequence[Run], path: Path) -> None:
    """Write one row per run and epoch."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["factor", "seed", "epoch", "accuracy", "storage_density", "compute_density"])
        for run in runs:
            for number, epoch in enumerate(run.epochs, 1):
                shares = (epoch.accuracy, epoch.storage_density, epoch.compute_density)
                writer.writerow([run.factor, run.seed, number, *(f"{share:.6f}" for share in shares)])


def draw(runs: Sequence[Run], path: Path) -> None:
    """Draw accuracy and density per epoch: a line per factor, mean of the seeds, and their range."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.lines import Line2D

    mpl.rcParams.update({"font.size": 8})
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
    for factor in sorted({run.factor for run in runs}):
        mine = [run for run in runs if run.factor == factor]
        label = "dense" if factor == 1 else f"{factor}x fewer weights"
        numbers = np.arange(1, len(mine[0].epochs) + 1)
        color = COLORS.get(factor, "#009E73")
        accuracy = np.array([[100 * epoch.accuracy for epoch in run.epochs] for run in mine])
        left.plot(numbers, accuracy.mean(0), color=color, label=label)
        left.fill_between(numbers, accuracy.min(0), accuracy.max(0), color=color, alpha=0.2, linewidth=0)
        for kind, style in (("storage_density", "-"), ("compute_density", ":")):
            density = np.array([[getattr(epoch, kind) for epoch in run.epochs] for run in mine]).mean(0)
            right.plot(numbers, density, color=color, linestyle=style)
    lowest = 100 * min(run.epochs[min(2, len(run.epochs) - 1)].accuracy for run in runs)
    left.set(xlabel="epoch", ylabel="test accuracy [%]", ylim=(lowest - 1, 100))
    left.legend(frameon=False, loc="lower right")
    right.set(xlabel="epoch", ylabel="density of weights", ylim=(0, 1.05))
    styles = [Line2D([], [], color="gray", linestyle=style) for style in ("-", ":")]
    right.legend(styles, ["stored", "computed with"], frameon=False, loc="center right")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=200)
    plt.close(figure)


def print_accuracies(runs: Sequence[Run]) -> None:
    """Print the accuracy after the last epoch, of each seed and in the mean, beside the dense one."""
    seeds = sorted({run.seed for run in runs})
    heads = [f"seed {seed}" for seed in seeds]
    print(f"{'weights':>10}{''.join(f'{head:>9}' for head in heads)}{'mean':>9}{'to dense':>10}{'stored':>9}")
    dense = None
    for factor in sorted({run.factor for run in runs}):
        mine = sorted((run for run in runs if run.factor == factor), key=lambda run: run.seed)
        last = [run.epochs[-1] for run in mine]
        average = 100 * mean(epoch.accuracy for epoch in last)
        dense = average if factor == 1 else dense
        row = "dense" if factor == 1 else f"{factor}x fewer"
        cells = "".join(f"{100 * epoch.accuracy:8.2f}%" for epoch in last)
        change = "" if dense is None or factor == 1 else f"{average - dense:+.2f} pp"
        print(
            f"{row:>10}{cells}{average:8.2f}%{change:>10}{mean(epoch.storage_density for epoch in last):9.4f}"
        )


def main() -> None:
    """Train every factor with every seed, and write what came of it into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    data = load_data()
    runs = []
    for factor in FACTORS:
        for seed in range(options.seeds):
            start = time.perf_counter()
            run = train(data, factor, seed, options.epochs)
            save_masks(options.folder / f"masks_{factor}x_seed{seed}.npz", run.masks)
            runs.append(run)
            name = "dense" if factor == 1 else f"{factor}x fewer weights"
            print(f"{name}, seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    print_accuracies(runs)
    write_accuracy(runs, options.folder / "accuracy.csv")
    draw(runs, options.folder / "accuracy_density.png")


if __name__ == "__main__":
    main()
