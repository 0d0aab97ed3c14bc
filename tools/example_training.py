"""Train a small network on handwritten digits, dense and with few weights, and cost it on Procrustes.

    python tools/example_training.py out/example_training

Prints accuracies side by side, and writes into the folder: report.md with a figure of accuracy, density and
energy per epoch (PNG and SVG), the numbers as CSV, the masks of every run, and the network as YAML. Takes
some minutes on two cores. Needs torch, scikit-learn and matplotlib: `make example-training` installs them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from example_report import write_report
from example_runs import Epoch, Run

from procrustes_model.training import ProcrustesSGD, Quantile, Recorder, save_masks
from procrustes_model.training.torch_library import torch

FACTORS = (1, 5, 10)
"""How many times fewer weights; 1 is dense training."""

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
    layers: list[tuple[str, Any]] = [
        ("conv1", nn.Conv2d(1, 16, 3, padding=1, bias=False)),
        ("norm1", nn.BatchNorm2d(16)),
        ("relu1", nn.ReLU()),
        ("conv2", nn.Conv2d(16, 32, 3, padding=1, bias=False)),
        ("norm2", nn.BatchNorm2d(32)),
        ("relu2", nn.ReLU()),
        ("pool", nn.MaxPool2d(2)),
        ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(512, 64)),
        ("relu3", nn.ReLU()),
        ("fc2", nn.Linear(64, 10)),
    ]
    return nn.Sequential(OrderedDict(layers))


def make_optimizer(network: torch.nn.Module, factor: int, seed: int, sorted_weights: bool = False) -> Any:
    """Return SGD with momentum, or the same inside a ProcrustesSGD that keeps 1 of `factor` weights."""
    options: dict[str, Any] = {"lr": RATE, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    if factor == 1:
        return torch.optim.SGD(network.parameters(), **options)
    quantile = None if sorted_weights else Quantile()
    return ProcrustesSGD(network.parameters(), keep=1 / factor, seed=seed, quantile=quantile, **options)


def measure(network: torch.nn.Module, optimizer: Any, data: Digits) -> Epoch:
    """Return the accuracy on the test images, and the densities now."""
    network.eval()
    with torch.no_grad():
        accuracy = (network(data.test_images).argmax(1) == data.test_labels).float().mean().item()
    if isinstance(optimizer, ProcrustesSGD):
        return Epoch(accuracy, optimizer.storage_density(), optimizer.compute_density())
    return Epoch(accuracy, 1.0, 1.0)


def train(data: Digits, factor: int, seed: int, epochs: int, sorted_weights: bool = False) -> Run:
    """Train one network, and record its masks in the first step of every epoch.

    Parameters
    ----------
    data : Digits
    factor : int
        How many times fewer weights.
    seed : int
        Of the initial values and of the order of the images; the same seed gives the same result.
    epochs : int
    sorted_weights : bool
        Sort weights in every iteration, in place of the quantile's estimate.

    Returns
    -------
    Run
    """
    torch.manual_seed(seed)
    network = make_network()
    optimizer = make_optimizer(network, factor, seed, sorted_weights)
    batches = len(data.train_labels) // BATCH
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    found: list[Epoch] = []
    tracked: list[float] = []
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
                if factor > 1:
                    tracked.append(optimizer.storage_density())
            found.append(measure(network, optimizer, data))
    return Run(factor, sorted_weights, seed, tuple(found), tuple(tracked), recorder.result())


def train_all(folder: Path, seeds: int, epochs: int) -> list[Run]:
    """Train every factor with every seed, by estimate and by sorting, and write the masks."""
    data = load_data()
    runs = []
    for factor in FACTORS:
        for sorted_weights in (False, True) if factor > 1 else (False,):
            for seed in range(seeds):
                start = time.perf_counter()
                run = train(data, factor, seed, epochs, sorted_weights)
                if not sorted_weights:
                    save_masks(folder / f"masks_{factor}x_seed{seed}.npz", run.masks)
                runs.append(run)
                seconds = time.perf_counter() - start
                print(f"trained {run.name}, seed {seed}: {seconds:.0f} s", file=sys.stderr)
    return runs


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
    if options.epochs < 2 or options.seeds < 1:
        parser.error("two epochs and one seed are the least")
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    runs = train_all(options.folder, options.seeds, options.epochs)
    write_report(runs, options.folder, options.epochs, options.seconds)


if __name__ == "__main__":
    main()
