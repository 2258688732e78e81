"""The explaining child: ``python -m services.evaluator.explain_job``. Answers one question after the other.

It stays between questions, as loading TensorFlow and a network takes far longer than Grad-CAM itself, and
ends with its standard input.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.events import ModelTrained
from services.evaluator.domain.explaining.findings import (
    Explanation,
    Method,
    focus_of,
    place_of,
    sentences_of,
)
from services.evaluator.domain.explaining.painting import enlarged, painted
from services.evaluator.domain.explaining.parts import Seen
from services.evaluator.domain.explaining.segments import Pixels
from services.evaluator.explaining import kept
from services.evaluator.explaining.pictures import Pictures
from services.evaluator.explaining.questions import Refusal, Task
from services.evaluator.settings import EvaluatorSettings
from services.runtime.child import child_main
from services.runtime.model_archive import ModelRefused, refuse_code
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from services.runtime.shards import ManifestDamaged, MemberDamaged

if TYPE_CHECKING:
    import keras

FOLDER, MODEL_FILE = "explaining", "model.keras"
DAMAGED = (ManifestDamaged, MemberDamaged, ModelRefused, ObjectDamaged, ObjectMissing)


class _Refused(Exception):
    """A question that has no answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(status=status, detail=detail)


def work(_spec: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Answer each line of standard input, a Task, by ``{}`` or by ``{"refused": Refusal}``."""
    settings = EvaluatorSettings()
    explaining = Explaining(ObjectStore(settings), settings.work_dir / FOLDER)
    for line in sys.stdin:
        try:
            explaining.answer(Task.model_validate_json(line))
            tell({})
        except _Refused as refused:
            tell({"refused": refused.refusal.model_dump()})
    return {}


class Explaining:
    """The network that was asked last stays in memory."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._pictures = Pictures(store)
        self._loaded: tuple[str, keras.Model] | None = None
        shutil.rmtree(folder, ignore_errors=True)  # what a killed child left

    def answer(self, task: Task) -> None:
        """Explain, and keep it in the store.

        Raises:
            _Refused: the image, the class or the network is none that can be explained.
        """
        from services.networks.errors import NetworkRefused  # noqa: PLC0415 - seconds, after the first question came

        began = time.monotonic()
        try:
            png = self._pictures.png(task)
            if png is None:
                raise _Refused(404, _nowhere(task))
            model = self._model(task.model)
            pixels = _decoded(png, task.model.image_size_px)
            explanation, seen = _explained(model, pixels, task, began)
        except (*DAMAGED, NetworkRefused) as error:
            raise _Refused(
                422, f"model {task.model.model_version} cannot explain the image: {error}"
            ) from error
        kept.put(
            self._store, task.question.prefix(task.model), explanation, _encoded(_shown(pixels, seen, task))
        )

    def _model(self, trained: ModelTrained) -> keras.Model:
        if self._loaded is None or self._loaded[0] != trained.model.sha256:
            self._loaded = None  # two large networks need not fit at once
            path = self._folder / MODEL_FILE
            self._store.get_file(trained.model, path)
            try:
                refuse_code(path)
                from services.networks import archive  # noqa: PLC0415 - spent only on what can be used

                size, classes = trained.image_size_px, len(trained.classes)
                self._loaded = trained.model.sha256, archive.load(path, image_size_px=size, classes=classes)
            finally:
                path.unlink()
        return self._loaded[1]


def _explained(model: keras.Model, pixels: Pixels, task: Task, began: float) -> tuple[Explanation, Seen]:
    from services.evaluator.explaining.looking import look, scores_of  # noqa: PLC0415 - as above

    question, classes = task.question, task.model.classes
    scores = scores_of(model)(pixels[None])[0]
    answer = int(scores.argmax())
    index = answer if question.class_name is None else classes.index(question.class_name)
    seen = look(model, pixels, index, question.method)
    found = Explanation(
        image_id=question.image_id, model_version=question.model_version, method=question.method,
        class_name=classes[index], answer=classes[answer], p_class=_share(scores[index]),
        p_answer=_share(scores[answer]), p_hidden=None if seen.hidden is None else _share(seen.hidden),
        focus=focus_of(seen.effects), place=place_of(seen.effects), fit=seen.fit, regions=seen.regions,
        passes=seen.passes + 1, seconds=round(time.monotonic() - began, 3),
    )  # fmt: skip
    return found.model_copy(update={"sentences": sentences_of(found)}), seen


def _share(score: float) -> float:
    return float(np.clip(score, 0.0, 1.0))


def _nowhere(task: Task) -> str:
    version, size_px = task.model.model_version, task.model.image_size_px
    return (
        f"image {task.question.image_id[:12]} is neither in the data set of model {version} nor in the "
        f"newest {len(task.manifests)} snapshots with pictures of {size_px} px: see `menagerie image`, and "
        "if it came later pack a snapshot by `menagerie snapshot`"
    )


def _shown(pixels: Pixels, seen: Seen, task: Task) -> Pixels:
    if task.question.method != Method.GRAD_CAM:
        return painted(pixels, seen.effects)
    from services.networks.grad_cam import overlay  # noqa: PLC0415 - as above

    return enlarged(overlay(pixels, seen.effects.astype(np.float32)))


def _decoded(png: bytes, side_px: int) -> Pixels:
    import tensorflow as tf  # noqa: PLC0415 - decodes as Inference does

    pixels: Pixels = tf.ensure_shape(tf.io.decode_png(png, channels=3), (side_px, side_px, 3)).numpy()
    return pixels


def _encoded(pixels: Pixels) -> bytes:
    import tensorflow as tf  # noqa: PLC0415 - as above

    data: bytes = tf.io.encode_png(pixels).numpy()
    return data


if __name__ == "__main__":
    child_main(work)
