"""What may be asked, and what the child is told."""

from __future__ import annotations

import hashlib
import json

from contracts.events import ModelTrained
from contracts.values import ImageId, ModelVersion, ObjectRef, Value
from services.evaluator.domain.explaining.findings import Method

FORMAT = 1
"""Of explanations: another way of making them needs another number, and all are made anew."""


class Question(Value):
    """One image, one model, one class (None: the model's answer), one method."""

    image_id: ImageId
    model_version: ModelVersion
    method: Method
    class_name: str | None = None

    def prefix(self, model: ModelTrained) -> str:
        """Where its explanation is kept: the same for all that it depends on, whoever asks."""
        depends = [FORMAT, model.model.sha256, self.image_id, self.method, self.class_name]
        digest = hashlib.sha256(json.dumps(depends).encode()).hexdigest()
        return f"explanations/{self.model_version}/{digest}"


class Task(Value):
    """A question with what the child needs for the answer."""

    question: Question
    model: ModelTrained
    manifests: tuple[ObjectRef, ...] = ()
    """Of snapshots whose pictures have the model's size, the newest first: where the image is looked for."""


class Refusal(Value):
    """Why a question has no answer; ``status`` is HTTP's for it."""

    status: int
    detail: str
