"""What a network learns from a few dozen real photos a class, in folds that no photographer spans.

``python -m tests.benchmarks.bench_few_photos --photos FOLDER`` needs ``labels.csv`` (columns file, label, guest)
beside the folder. Classes with 40 photos or more are trained on four fifths of the guests and tested on the
others, five times; every photo is tested once. The epochs are set beforehand and the last one counts: nothing
is chosen by the photos that are tested on. Each recipe is a train request's options, run by the trainer's own
loop; ``--recipe NAME`` picks some. Two hours for all of them on two cores.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from contracts.training import LearningRates, TrainOptions
from services.networks.build import FEATURES_LAYER, build
from services.trainer.fitting.determinism import make_deterministic
from services.trainer.fitting.feeding import InMemory
from services.trainer.fitting.loop import fit

MINIMUM, FOLDS, BATCH = 40, 5, 32
NETWORK = "efficientnet_lite0"


class Photos(NamedTuple):
    """Letterboxed pixels [N, S, S, 3], class indices [N], guests [N], class names."""

    pixels: NDArray[np.uint8]
    classes: NDArray[np.int64]
    guests: NDArray[np.str_]
    names: tuple[str, ...]


def plain(**changes: object) -> TrainOptions:
    """Fine-tuning as docs/training.md recommends for few photos, with ``changes``."""
    options: dict[str, object] = {
        "network": NETWORK,
        "weights": "imagenet",
        "epochs": 16,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "rates": LearningRates(backbone=0.1, frozen_share=0.67, head_epochs=8, freeze_batch_norm=True),
        "optimizer": "adamw",
        "weight_decay": 0.02,
        "dropout": 0.3,
        "label_smoothing": 0.1,
        "schedule": "cosine",
        "zoom_share": 0.2,
    }
    return TrainOptions.model_validate(options | changes)


RECIPES: dict[str, tuple[int, Callable[[], TrainOptions]]] = {
    "fine-tuned, 299 px": (299, plain),
    "fine-tuned, 224 px": (224, plain),
    "output layer alone, 299 px": (299, lambda: plain(rates=LearningRates(backbone=0, freeze_batch_norm=True))),
    "no augmentation, 299 px": (299, lambda: plain(flip=False, rotate_degrees=0, zoom_share=0)),
    "all layers learn, 299 px": (
        299, lambda: plain(rates=LearningRates(backbone=0.1, head_epochs=8, freeze_batch_norm=True)),
    ),
    "random weights, 128 px": (
        128, lambda: plain(weights="random", rates=LearningRates(), label_smoothing=0.0),
    ),
}  # fmt: skip
"""Name -> side of the pictures in pixels, options."""
PROBES = {
    f"logistic regression, {size} px{', mirrored too' if mirrored else ''}": (size, mirrored)
    for size in (224, 260, 299, 380)
    for mirrored in (False, True)
}
"""On the features of the frozen network, to compare with; of each photo, or of its mirror image as well."""


def read_photos(folder: Path, size: int) -> Photos:
    """Classes with enough photos, as ingest normalises them: upright, whole, on black."""
    with (folder.parent / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"]]
    counts = Counter(row["label"] for row in rows)
    names = tuple(sorted(name for name, count in counts.items() if count >= MINIMUM))
    rows = [row for row in rows if row["label"] in names]
    pixels = np.zeros((len(rows), size, size, 3), np.uint8)
    for at, row in enumerate(rows):
        with Image.open(folder / row["file"]) as photo:
            scale = size / max(photo.size)
            width, height = (max(1, round(side * scale)) for side in photo.size)
            small = photo.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        left, top = (size - width) // 2, (size - height) // 2
        pixels[at, top : top + height, left : left + width] = np.asarray(small)
    classes = np.array([names.index(row["label"]) for row in rows], np.int64)
    return Photos(pixels, classes, np.array([row["guest"] for row in rows]), names)


def folds(photos: Photos) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Indices to train on and to test on; no guest is in both."""
    yield from GroupKFold(FOLDS).split(photos.pixels, photos.classes, photos.guests)


def tuned(photos: Photos, options: TrainOptions) -> list[float]:
    """Accuracy of each fold after training by ``options``."""
    size, found = photos.pixels.shape[1], []
    nothing = InMemory(photos.pixels[:0], photos.classes[:0])
    for train, test in folds(photos):
        keras.backend.clear_session()
        make_deterministic(options.seed)
        model = build(
            options.network, size, len(photos.names), weights=options.weights, dropout=options.dropout
        )
        last = options.model_copy(update={"seed": options.seed})
        fit(model, InMemory(photos.pixels[train], photos.classes[train]), nothing, last)
        found.append(accuracy(scores_of(model, photos.pixels[test]), photos.classes[test]))
        print(f"  fold {len(found)}: {len(train)} to train, {len(test)} to test, {found[-1]:.3f}", flush=True)
    return found


def probed(photos: Photos, mirrored: bool) -> list[float]:
    """Accuracy of each fold by logistic regression on the frozen network's features: the figure to beat."""
    size = photos.pixels.shape[1]
    network = build(NETWORK, size, 2, weights="imagenet")
    encoder = keras.Model(network.inputs, network.get_layer(FEATURES_LAYER).output)
    views = [photos.pixels, photos.pixels[:, :, ::-1]] if mirrored else [photos.pixels]
    features = [scores_of(encoder, view) for view in views]
    found = []
    for train, test in folds(photos):
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
        probe.fit(
            np.concatenate([view[train] for view in features]), np.tile(photos.classes[train], len(views))
        )
        said = sum(probe.predict_proba(view[test]) for view in features)
        found.append(accuracy(said, photos.classes[test]))
    return found


def scores_of(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the model says of pixels [N, S, S, 3]."""
    parts = [model.predict_on_batch(pixels[at : at + BATCH]) for at in range(0, len(pixels), BATCH)]
    return np.concatenate(parts)


def accuracy(scores: NDArray[np.float32], classes: NDArray[np.int64]) -> float:
    """Share of first answers that are right."""
    return float((scores.argmax(axis=1) == classes).mean())


def line(name: str, found: Sequence[float], seconds: float) -> str:
    """One row of the table in docs/training.md."""
    cells = " | ".join(f"{share:.2f}" for share in found)
    return f"| {name} | {cells} | **{np.mean(found):.3f}** | {seconds / 60:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--recipe", action="append", choices=[*RECIPES, *PROBES])
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="tried on top")
    asked = parser.parse_args()
    changes = dict(one.split("=", 1) for one in asked.option)
    table = []
    for name in asked.recipe or [*PROBES, *RECIPES]:
        size, options = RECIPES.get(name) or (PROBES[name][0], plain)
        photos = read_photos(asked.photos, size)
        print(f"{name}: {len(photos.classes)} photos, {len(set(photos.guests))} guests", flush=True)
        started = time.process_time()
        chosen = TrainOptions.model_validate(options().model_dump() | changes)
        found = probed(photos, PROBES[name][1]) if name in PROBES else tuned(photos, chosen)
        table.append(line(name, found, time.process_time() - started))
        print(table[-1], flush=True)
    print("\n".join(["| recipe | 1 | 2 | 3 | 4 | 5 | mean | CPU min |", "|---|" + "---|" * 7, *table]))


if __name__ == "__main__":
    main()
