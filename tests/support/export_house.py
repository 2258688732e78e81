"""A small network that was trained on generated pictures, with its data set in a real store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.events import ModelTrained
from contracts.manifests import Buckets
from contracts.training import CompressionOptions, TrainOptions
from services.runtime.objectstore import ObjectStore
from services.trainer.domain.export_specs import CompressSpec, ExportSpec, Origin
from tests.support.digit_library import DigitLibrary

SIZE_PX = 28
CLASSES = ("across", "down", "spot|ted")
"""Stripes across, stripes down, a spot; the last name would break a table."""
SIDES = {"train": 40, "validation": 8, "test": 20}
OPTIONS = TrainOptions(epochs=4, batch_size=20, learning_rate=3e-3, flip=True, rotate_degrees=0, zoom_share=0)
KEY = "11" * 32


def picture(index: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """One picture [28, 28, 3] of class ``index`` in noise."""
    ys, xs = np.mgrid[:SIZE_PX, :SIZE_PX]
    phase, period = random.uniform(0, 6), random.uniform(4, 7)
    drawn = (
        np.sin(2 * np.pi * ys / period + phase),
        np.sin(2 * np.pi * xs / period + phase),
        2 * np.exp(-((xs - random.integers(8, 20)) ** 2 + (ys - random.integers(8, 20)) ** 2) / 30) - 1,
    )[index]
    noisy = 128 + 60 * drawn[..., None] + random.normal(0, 25, (SIZE_PX, SIZE_PX, 3))
    drawing: NDArray[np.uint8] = noisy.clip(0, 255).astype(np.uint8)
    return drawing


class DrawnLibrary(DigitLibrary):
    """Pictures of every class on every side."""

    def __init__(self, store: ObjectStore, name: str, sides: dict[str, int] | None = None) -> None:
        super().__init__(store, name, "", 0)
        random = np.random.default_rng(5)
        for side, count in (sides or SIDES).items():
            for index, label in enumerate(CLASSES):
                for _ in range(count):
                    self.add_pixels(
                        picture(index, random), label=label, label_kind="class", class_name=label,
                        class_index=index, side=side, rule=side,
                    )  # fmt: skip

    def side(self, side: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Pictures and class indices of one side, in the order of their ids."""
        chosen = sorted(image_id for image_id, row in self.rows.items() if row["side"] == side)
        return (
            np.stack([self.pixels[image_id] for image_id in chosen]),
            np.array([self.rows[image_id]["class_index"] for image_id in chosen]),
        )


@cache
def trained_archive() -> bytes:
    """The ``.keras`` file of a small_cnn that learned the pictures; trained once a process, in seconds."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    from services.networks import archive
    from services.networks.build import build

    random = np.random.default_rng(3)
    classes = np.arange(240) % len(CLASSES)
    images = np.stack([picture(int(index), random) for index in classes])
    keras.utils.set_random_seed(7)
    model = build("small_cnn", SIZE_PX, len(CLASSES))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(images, classes, batch_size=20, epochs=5, verbose=0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        archive.save(model, path)
        return path.read_bytes()


@dataclass
class ExportHouse:
    """A store with one trained model; ``version`` keeps tests on one server apart."""

    store: ObjectStore
    version: str
    folder: Path
    sides: dict[str, int] | None = None

    def __post_init__(self) -> None:
        self.library = DrawnLibrary(self.store, f"drawn-{self.version}", self.sides)
        counts = {"train": 0, "validation": 0, "test": 0, "benchmark": 0, "out": 0} | {
            side: count * len(CLASSES) for side, count in (self.sides or SIDES).items()
        }
        of_the_run = {
            name: self.store.put(Buckets.MODELS, f"drawn-{self.version}/{file}", file.encode())
            for name, file in {"summary": "summary.json", "curves": "curves.png", "log": "log.txt"}.items()
        }
        self.trained = self.library.trained(
            self.version, trained_archive(), classes=CLASSES, image_size_px=SIZE_PX, network="small_cnn",
            images=counts, best_val_accuracy=0.97, seconds=90.0, **of_the_run,
        )  # fmt: skip
        self._scratches = 0

    def export_spec(self, **change: Any) -> ExportSpec:
        """What the parent would ask of the exporting child."""
        origin = Origin(version=self.version, network="small_cnn", weights="random")
        fields: dict[str, Any] = {
            "trained": self.trained, "origin": origin, "options": OPTIONS, "report": None, "scratch": self._scratch()
        }  # fmt: skip
        return ExportSpec(**fields | change)

    def compress_spec(self, trained: ModelTrained | None = None, **options: Any) -> CompressSpec:
        """What the parent would ask of the compressing child."""
        return CompressSpec(
            trained=trained or self.trained, request_id="compress-0001",
            options=CompressionOptions(**options), train_options=OPTIONS, scratch=self._scratch(),
        )  # fmt: skip

    def _scratch(self) -> str:
        self._scratches += 1
        made = self.folder / f"scratch-{self._scratches}"
        made.mkdir(parents=True)
        return str(made)
