"""Writes the queue of a scoring: all labelled images as Parquet, the most doubtful label first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contracts.values import ObjectRef
from services.evaluator.artefacts import Artefacts
from services.evaluator.domain.answers import Ints
from services.evaluator.domain.queue.confident import Confident, confident_learning
from services.evaluator.domain.queue.examples import NONE, Wanted, nearest_examples
from services.evaluator.domain.queue.ranking import Ranking, Suspicion, rank
from services.runtime.objectstore import ObjectStore


def put_queue(store: ObjectStore, model_version: str, request_id: str, queue: pa.Table) -> ObjectRef:
    """Into the bucket of reports, beside the scoring's other files; the same queue gives the same bytes."""
    return Artefacts.of_evaluation(store, model_version, request_id).put_queue(queue)


def build_queue(
    scores: NDArray[np.floating],
    image_ids: Sequence[str],
    sets: Sequence[str],
    labels: Ints,
    classes: Sequence[str],
    like: NDArray[np.floating] | None = None,
) -> pa.Table:
    """The queue of N images: scores [N x C], which may be memory-mapped, the set and class index of each.

    Images without a class (NO_CLASS) are left out. ``like`` [N x D] are their similarity vectors, by which
    examples are found; without them the score rows tell who is alike.
    """
    found = confident_learning(scores, labels)
    ranking = rank(found)
    by_label, by_other = _examples(scores if like is None else like, found, ranking)
    order = ranking.order
    names, ids = pa.array(list(classes), pa.string()), pa.array(list(image_ids), pa.string())
    words = pa.array([Suspicion(value).word for value in sorted(Suspicion)], pa.string())
    return pa.table({
        "rank": pa.array(np.arange(1, len(order) + 1)),
        "image_id": ids.take(pa.array(order)),
        "set": pa.array(list(sets), pa.string()).take(pa.array(order)),
        "suspicion": words.take(pa.array(ranking.suspicion[order])),
        "label": names.take(_nullable(found.labels[order])),
        "other": names.take(_nullable(found.other[order])),
        "p_label": pa.array(found.p_label[order]),
        "p_other": pa.array(found.p_other[order]),
        "margin": pa.array(found.margin[order]),
        "label_example": ids.take(_nullable(by_label)),
        "other_example": ids.take(_nullable(by_other)),
    })  # fmt: skip


def _examples(like: NDArray[np.floating], found: Confident, ranking: Ranking) -> tuple[Ints, Ints]:
    """Positions of the nearest example of the label and of the other class, in the queue's order."""
    order, trusted = ranking.order, ranking.suspicion == Suspicion.LOW

    def nearest(classes: Ints) -> Ints:
        wanted = Wanted(order, classes[order])
        return nearest_examples(like, wanted, found.labels, trusted, found.p_label)

    return nearest(found.labels), nearest(found.other)


def _nullable(indices: Ints) -> pa.Array:
    return pa.array(indices, mask=indices == NONE)
