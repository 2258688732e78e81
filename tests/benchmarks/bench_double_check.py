"""How many planted wrong labels the double-check queue shows first, beside cleanlab and simpler orders.

``python -m tests.benchmarks.bench_double_check`` gives 5 % of the 5,000 digits a wrong label, on every side
alike, trains by the trainer's own loop as the demo does (112 images a class to train on, 20 epochs), scores
every image, and counts the planted ones in the first 10 % of each order. cleanlab's rows need it installed.
2 minutes a seed on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.training import TrainOptions
from services.evaluator.domain.queue.confident import confident_learning, mix_ups
from services.evaluator.domain.queue.ranking import rank
from services.networks.build import build
from services.ops.demo.digits import OPTIONS
from services.trainer.fitting.determinism import make_deterministic
from services.trainer.fitting.feeding import InMemory
from services.trainer.fitting.loop import fit
from services.trainer.fitting.scoring import predict
from tests.support.digit_library import digits

WRONG_SHARE = 0.05
FIRST_SHARE = 0.1
TRAIN, VALIDATION = 1120, 500
SIDE_PX = 28

Order = NDArray[np.int64]
QUEUE = "double-check queue"


class Scored(NamedTuple):
    """A library with planted labels, as its model scores it; ``seen`` are the images it was trained on."""

    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    planted: NDArray[np.bool_]
    seen: NDArray[np.bool_]


def scored(seed: int, epochs: int) -> Scored:
    """Plant, train, score; the first TRAIN images are the train side."""
    draws = np.random.default_rng(seed)
    images = np.concatenate(list(digits().values()))
    truth = np.repeat(np.arange(10), [len(of) for of in digits().values()])
    order = draws.permutation(len(images))
    images, truth = images[order], truth[order]
    planted = np.zeros(len(images), bool)
    planted[draws.choice(len(images), int(len(images) * WRONG_SHARE), replace=False)] = True
    labels = np.where(planted, (truth + draws.integers(1, 10, len(truth))) % 10, truth)
    options = TrainOptions.model_validate(OPTIONS | {"seed": seed, "epochs": epochs})
    make_deterministic(seed)
    model = build(options.network, SIDE_PX, 10)
    train, held = slice(0, TRAIN), slice(TRAIN, TRAIN + VALIDATION)
    fit(model, InMemory(images[train], labels[train]), InMemory(images[held], labels[held]), options)
    scores = predict(model, InMemory(images, labels))
    return Scored(scores, labels, planted, np.arange(len(images)) < TRAIN)


def ours(of: Scored) -> Order:
    """The queue."""
    return rank(confident_learning(of.scores, of.labels)).order


def by_self_confidence(of: Scored) -> Order:
    """Lowest score of the own label first."""
    return np.argsort(of.scores[np.arange(len(of.labels)), of.labels], kind="stable")


def by_margin(of: Scored) -> Order:
    """Lowest normalised margin first, without the confident joint."""
    return np.argsort(confident_learning(of.scores, of.labels).margin, kind="stable")


def at_random(of: Scored) -> Order:
    """A person who looks through the library."""
    return np.random.default_rng(0).permutation(len(of.labels))


def by_cleanlab(of: Scored) -> Order:
    """Its issues off the confident joint's diagonal by normalised margin, then the rest by the same."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_normalized_margin_for_each_label

    margin = get_normalized_margin_for_each_label(of.labels, of.scores)
    issues = find_label_issues(of.labels, of.scores, filter_by="confident_learning", n_jobs=1)
    return np.lexsort((margin, ~issues))


def first_found(of: Scored, order: Order, share: float, images: NDArray[np.bool_]) -> float:
    """Share of the planted labels among ``images`` that lie in the first ``share`` of their order."""
    queue = order[images[order]]
    first = queue[: int(len(queue) * share)]
    return float(of.planted[first].sum() / (of.planted & images).sum())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--keep", help="write the scores of each seed beside this path")
    asked = parser.parse_args()
    orders: dict[str, Callable[[Scored], Order]] = {
        QUEUE: ours,
        "cleanlab": by_cleanlab,
        "normalised margin alone": by_margin,
        "self-confidence alone": by_self_confidence,
        "random": at_random,
    }
    if find_spec("cleanlab") is None:
        del orders["cleanlab"]
    print(
        "| seed | order | found in the first 10 % | in the first 5 % | in 10 % of those not trained on | likely wrong, of them planted |"
    )
    print("|---|---|---|---|---|---|")
    for seed in range(1, asked.seeds + 1):
        of = scored(seed, asked.epochs)
        if asked.keep:
            np.savez(f"{asked.keep}-{seed}.npz", **of._asdict())
        found = confident_learning(of.scores, of.labels)
        flagged, everything = found.off_diagonal, np.ones(len(of.labels), bool)
        for name, order in orders.items():
            ranked = order(of)
            shares = [
                first_found(of, ranked, FIRST_SHARE, everything),
                first_found(of, ranked, WRONG_SHARE, everything),
                first_found(of, ranked, FIRST_SHARE, ~of.seen),
            ]
            said = f"{flagged.sum()}, {of.planted[flagged].mean():.3f}" if name == QUEUE else ""
            print(f"| {seed} | {name} | {' | '.join(f'{one:.3f}' for one in shares)} | {said} |", flush=True)
        largest = ", ".join(f"{m.label} for {m.likely}: {m.estimated:.0f}" for m in mix_ups(found)[:3])
        print(f"|  | largest mix-ups | {largest} | | | |", flush=True)


if __name__ == "__main__":
    main()
