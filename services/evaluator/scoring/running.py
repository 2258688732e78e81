"""Scores the images of a scene, batch by batch, and goes on where a killed process was."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.evaluator.scoring.matrix import ScoreMatrix
from services.evaluator.scoring.scenes import Scene
from services.runtime.model_archive import refuse_code
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import fetch_images

if TYPE_CHECKING:
    from services.networks.inference import Inference

Tell = Callable[[dict[str, Any]], None]

MODEL_FILE, LOCK_FILE = "model.keras", "lock"


def score_images(
    store: ObjectStore, scene: Scene, folder: Path, tell: Tell, *, precision: str, keep_every_s: float
) -> Path:
    """Score every row; returns the path of the matrix, row i for row i of the scene.

    The images are taken in the order of the shards, in batches that begin at multiples of the batch size
    wherever a process before this one was killed: the same work gives the same bytes. Every
    ``keep_every_s`` what is scored is brought to disk and told: rows and rows of all, images/s, seconds left.

    Raises:
        ModelRefused: the model brings code or is not of the size and classes that are said.
        OSError: no room on the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        return _score(store, scene, folder, tell, precision, keep_every_s)


def _score(
    store: ObjectStore, scene: Scene, folder: Path, tell: Tell, precision: str, keep_every_s: float
) -> Path:
    model, order = scene.model, scene.order
    archive = folder / MODEL_FILE
    store.get_file(model.model, archive)
    refuse_code(archive)
    from services.networks.inference import of_file  # noqa: PLC0415 - seconds, spent only on what can be used

    network = of_file(archive, model.image_size_px, len(model.classes))
    columns = len(scene.fold.columns)
    of = scene.matrix(precision) | {"batch": network.batch}
    matrix = ScoreMatrix(folder, of, order, columns, precision)
    fill(matrix, network, store, scene, tell, keep_every_s)
    return matrix.path


def fill(
    matrix: ScoreMatrix,
    network: Inference,
    store: ObjectStore,
    scene: Scene,
    tell: Tell,
    keep_every_s: float,
) -> None:
    """Score the rows that the matrix lacks."""
    order = scene.order
    left = [scene.rows[position] for position in order[matrix.done :]]
    pace = Pace(scene.model.model_version, len(order), matrix.done)
    kept_at = time.monotonic()
    for scores in network.answers(png for _, png in fetch_images(store, left)):
        matrix.add(scene.fold.apply(scores))
        pace.scored(len(scores))
        if time.monotonic() - kept_at >= keep_every_s:
            matrix.keep()
            tell(pace.told())
            kept_at = time.monotonic()
    if matrix.done < len(order):
        matrix.keep()
        tell(pace.told())


class Pace:
    """Images per second from the end of the first batch on, which has the making of the graph in it."""

    def __init__(self, model_version: str, images: int, done: int) -> None:
        """Of so many images, ``done`` were scored before."""
        self._model_version = model_version
        self._images, self._done = images, done
        self._first = 0
        self._since: float | None = None

    def scored(self, images: int) -> None:
        """So many more."""
        self._done += images
        if self._since is None:
            self._since, self._first = time.monotonic(), self._done

    def told(self) -> dict[str, Any]:
        """As the parent hears it; no pace (0) is known after one batch."""
        seconds = time.monotonic() - (self._since or 0.0)
        counted = self._done - self._first
        rate = counted / seconds if counted and seconds > 0 else 0.0
        left_s = (self._images - self._done) / rate if rate else 0.0
        return {
            "model_version": self._model_version, "scored": self._done, "of": self._images,
            "images_per_s": round(rate, 3), "eta_s": round(left_s, 1),
        }  # fmt: skip


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for another process in the same folder: a killed parent's child may live a moment longer."""
    handle = os.open(folder / LOCK_FILE, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
