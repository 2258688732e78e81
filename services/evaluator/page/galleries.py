"""Which images the page shows: labels in doubt, and answers that are wrong, the surest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.evaluator.domain.answers import NO_CLASS, Answers, Ints
from services.evaluator.domain.queue.ranking import Suspicion
from services.evaluator.domain.sets import SIDES
from services.evaluator.page.pictures import Picture, of_images
from services.evaluator.page.rendering import Gallery, Shown
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import Row

SHOWN = 24
"""Per gallery."""


@dataclass(frozen=True)
class Scored:
    """Images with their sets and answers, row i of each belongs together."""

    rows: Sequence[Row]
    sets: Sequence[str]
    answers: Answers
    classes: Sequence[str]

    def row(self, at: int) -> dict[str, Any]:
        """What is said of the image at ``at``."""
        truth = int(self.answers.truth[at])
        return {
            "image_id": self.rows[at]["image_id"],
            "set": self.sets[at],
            "label": None if truth == NO_CLASS else self.classes[truth],
            "answer": self.classes[int(self.answers.predicted[at])],
            "confidence": float(self.answers.confidence[at]),
        }


def galleries(store: ObjectStore, scored: Scored, queue: Sequence[tuple[str, str]] | None) -> list[Gallery]:
    """``queue`` is the double-check queue, image id and suspicion; None where there is none."""
    places = {row["image_id"]: at for at, row in enumerate(scored.rows)}
    sets = np.array(scored.sets, np.str_)
    wrong = ~scored.answers.correct
    benchmark = ~np.isin(sets, SIDES)
    chosen: list[tuple[str, str, str, list[int], int]] = []
    for key, title, words, of in (
        ("wrong-benchmark", "Wrong answers on benchmarks", WRONG_BENCHMARK, benchmark),
        ("wrong-test", "Wrong answers on test", WRONG_TEST, sets == "test"),
    ):
        found = surest_first(scored.answers, wrong & of)
        nothing = NOTHING_WRONG if of.any() else NOTHING_THERE
        chosen.append((key, title, words if len(found) else nothing, list(found[:SHOWN]), len(found)))
    if queue is not None:
        doubtful = [places[image_id] for image_id, suspicion in queue if suspicion != Suspicion.LOW.word]
        words = DOUBTFUL if doubtful else NOTHING_DOUBTFUL
        chosen.append(("doubtful", "Labels in doubt", words, doubtful[:SHOWN], len(doubtful)))
    wanted = dict.fromkeys(scored.rows[at]["image_id"] for _, _, _, some, _ in chosen for at in some)
    found_pictures = of_images(store, scored.rows, wanted)
    return [
        Gallery(key, title, words, _shown(scored, some, found_pictures), total)
        for key, title, words, some, total in chosen
    ]


WRONG_TEST = "Images of the test set that got a wrong answer, the surest first."
WRONG_BENCHMARK = (
    "Images of benchmark sets that got a wrong answer, the surest first; to an image of none of the classes "
    "every answer is wrong."
)
NOTHING_WRONG = "No image here got a wrong answer."
NOTHING_THERE = "There is no image of this kind."
DOUBTFUL = (
    "Images of all sets whose answer is not their label, most likely mislabelled first: either the label is "
    "wrong or the model. To have people look at them: `menagerie review-queue send`."
)
NOTHING_DOUBTFUL = "No label is in doubt: every answer was the label."


def surest_first(answers: Answers, mask: np.ndarray) -> Ints:
    """Positions under ``mask``, highest confidence first, among equals the earlier."""
    found = np.flatnonzero(mask)
    order: Ints = found[np.argsort(-answers.confidence[found], kind="stable")]
    return order


def _shown(scored: Scored, some: Sequence[int], found: Mapping[str, Picture]) -> tuple[Shown, ...]:
    rows = [scored.row(at) for at in some]
    return tuple(Shown(row, found[row["image_id"]]) for row in rows)
