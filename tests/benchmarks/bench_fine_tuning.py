"""What fine-tuning saves: 7 classes of digits from random weights, then 10 by the protocol, beside 10 from scratch.

``python -m tests.benchmarks.bench_fine_tuning`` trains three seeds by the trainer's own loop, with the demo's
options: 112 images a class to train on, 100 to validate with, the rest to test on. Counted are the epochs until
the validation accuracy first reaches a level, and the test accuracy of the weights that are kept. 15 minutes on
two cores.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import keras
import numpy as np

from contracts.manifests import Epoch
from contracts.training import TrainOptions
from services.networks.build import build, replace_output
from services.ops.demo.digits import OPTIONS
from services.trainer.fitting.determinism import make_deterministic
from services.trainer.fitting.feeding import InMemory
from services.trainer.fitting.loop import fit
from services.trainer.fitting.scoring import score
from tests.support.digit_library import digits

FIRST, ALL = "0123456", "0123456789"
TRAIN, VALIDATION = 112, 100
LEVELS = (0.90, 0.95, 0.97)
SIDE_PX = 28


class Sides(NamedTuple):
    """Examples of some classes."""

    train: InMemory
    validation: InMemory
    test: InMemory


class Outcome(NamedTuple):
    """The curve of a run, and the accuracy of its kept weights on the test side."""

    curve: tuple[Epoch, ...]
    test: float

    def epochs_to(self, level: float) -> str:
        """Epochs until the validation accuracy reached ``level``."""
        reached = [epoch.epoch for epoch in self.curve if (epoch.val_accuracy or 0.0) >= level]
        return str(reached[0]) if reached else "never"


def sides(classes: str, seed: int) -> Sides:
    """The images that a seed draws of each class; the same image lies on one side whatever the classes."""
    parts = []
    for index, name in enumerate(classes):
        order = np.random.default_rng([seed, int(name)]).permutation(len(digits()[name]))
        parts.append((index, digits()[name][order]))

    def side(start: int, end: int | None) -> InMemory:
        images = np.concatenate([images[start:end] for _, images in parts])
        return InMemory(images, np.concatenate([np.full(len(i[start:end]), n) for n, i in parts]))

    return Sides(side(0, TRAIN), side(TRAIN, TRAIN + VALIDATION), side(TRAIN + VALIDATION, None))


def trained(model: keras.Model, given: Sides, options: TrainOptions) -> Outcome:
    """After a run of the trainer's loop."""
    done = fit(model, given.train, given.validation, options)
    return Outcome(done.epochs, score(model, given.test)[1])


def one_seed(seed: int) -> dict[str, Outcome]:
    """The first model, the second fine-tuned from it, and the second from random weights."""
    options = TrainOptions.model_validate(OPTIONS | {"seed": seed})
    make_deterministic(seed)
    model = build(options.network, SIDE_PX, len(FIRST))
    outcomes = {"7 classes, random weights": trained(model, sides(FIRST, seed), options)}
    given = sides(ALL, seed)
    fine = replace_output(model, len(ALL))
    outcomes["10 classes, fine-tuned"] = trained(fine, given, options)
    make_deterministic(seed)
    outcomes["10 classes, random weights"] = trained(
        build(options.network, SIDE_PX, len(ALL)), given, options
    )
    return outcomes


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    heads = " | ".join(f"epochs to {level:.2f}" for level in LEVELS)
    print(f"| seed | run | {heads} | best validation | test |\n|---|---|{'---|' * len(LEVELS)}---|---|")
    for seed in range(1, asked.seeds + 1):
        for name, outcome in one_seed(seed).items():
            cells = " | ".join(outcome.epochs_to(level) for level in LEVELS)
            best = max(epoch.val_accuracy or 0.0 for epoch in outcome.curve)
            print(f"| {seed} | {name} | {cells} | {best:.3f} | {outcome.test:.3f} |", flush=True)


if __name__ == "__main__":
    main()
