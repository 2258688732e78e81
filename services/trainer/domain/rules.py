"""The rules that put an image on a side, each with the words that tell it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from contracts.values import Side


class Rule(StrEnum):
    """What decided an image's side."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST_SHARE = "test-share"
    OVERFLOW = "overflow"
    BENCHMARK = "benchmark"
    UNLABELLED = "unlabelled"
    UNKNOWN_LABEL = "unknown-label"
    OUT_OF_SCOPE = "out-of-scope"
    REMOVED = "removed"
    NEAR_DUPLICATE = "near-duplicate"
    BESIDE_BENCHMARK = "beside-benchmark"
    BENCHMARK_SEEN = "benchmark-seen-by-ancestor"
    STAGED_CAP = "staged-cap"
    BELOW_MINIMUM = "below-minimum"
    SEEN = "seen-by-ancestor"
    NOTHING_TO_TRAIN = "nothing-to-train"


class Told(NamedTuple):
    """A rule in words: ``short`` in a table, ``why`` of one image, ``change`` what would alter it.

    The last two have places that ``facts.Facts.words`` fills.
    """

    side: Side
    short: str
    why: str
    change: str


TOLD: dict[Rule, Told] = {
    Rule.TRAIN: Told(
        Side.TRAIN,
        "drawn to train",
        "It is trained on as {class_name}: {drawn} train, and the class had room.",
        "It stays there for every model that grows from this one; a lower rules.maximum_per_class may leave "
        "it out.",
    ),
    Rule.VALIDATION: Told(
        Side.VALIDATION,
        "drawn to validation",
        "It validates {class_name}, which chooses the epoch that is kept: {drawn} validation.",
        "A lower rules.validation_share may train on it; no model that grows from this one tests on it.",
    ),
    Rule.TEST_SHARE: Told(
        Side.TEST,
        "drawn to test",
        "It tests {class_name}: {drawn} the share that is neither trained on nor validated with.",
        "A higher rules.train_share may train on it.",
    ),
    Rule.OVERFLOW: Told(
        Side.TEST,
        "more than the maximum",
        "It tests {class_name}: others take the {maximum} places that a class has to train and validate on, "
        "or leave too few for {unit}.",
        "A higher rules.maximum_per_class may train on it.",
    ),
    Rule.BENCHMARK: Told(
        Side.BENCHMARK,
        "in a benchmark set",
        "It is in the benchmark set {benchmark}, which models are measured on and never trained on.",
        "`menagerie benchmark remove {image}` makes it an image like others.",
    ),
    Rule.UNLABELLED: Told(
        Side.OUT,
        "without a label",
        "It has no label in the snapshot, so that nothing can be learned from it.",
        "Label it (`menagerie label {image} LABEL`) and pack a new snapshot.",
    ),
    Rule.UNKNOWN_LABEL: Told(
        Side.OUT,
        "label of kind unknown",
        "Its label {label} is of kind unknown, which is stored and never trained on.",
        "Give it a label of kind class (`menagerie label {image} LABEL`) and pack a new snapshot.",
    ),
    Rule.OUT_OF_SCOPE: Told(
        Side.OUT,
        "out of scope",
        "Its label {label} is out of scope, which is never trained on.",
        "Give it a label of kind class, or put it into a benchmark set to measure models on it.",
    ),
    Rule.REMOVED: Told(
        Side.OUT,
        "removed",
        "A person removed it from use.",
        "Label it again (`menagerie label {image} LABEL`) and pack a new snapshot.",
    ),
    Rule.NEAR_DUPLICATE: Told(
        Side.OUT,
        "near duplicate",
        "It is a near duplicate of {original}, and duplicates never help.",
        "If the two differ, say so: `menagerie dedup resolve {image} {original} --keep-both`.",
    ),
    Rule.BESIDE_BENCHMARK: Told(
        Side.OUT,
        "beside a benchmark image",
        "It belongs together with {mate} of the benchmark set {mate_benchmark} ({bond}): to learn from "
        "the one would flatter the score on the other.",
        "Without {mate} in the set, it is an image like others.",
    ),
    Rule.BENCHMARK_SEEN: Told(
        Side.OUT,
        "benchmark that an ancestor saw",
        "It is in the benchmark set {benchmark}, but cannot measure this model: {seen}.",
        "A model from scratch (--base scratch) is measured on it.",
    ),
    Rule.STAGED_CAP: Told(
        Side.OUT,
        "beyond the staged cap",
        "It is {source}, and such images fill {class_name} only up to {staged_cap}: real ones go first.",
        "A higher rules.staged_cap lets more of them in.",
    ),
    Rule.BELOW_MINIMUM: Told(
        Side.OUT,
        "class below the minimum",
        "Its class {class_name} has {usable} usable images of the {minimum} that it needs, {needed} too few.",
        "Label {needed} more, or lower rules.minimum_per_class in a throw-away run that finds more.",
    ),
    Rule.SEEN: Told(
        Side.OUT,
        "an ancestor saw it",
        "It can test nothing, since {seen}; and it found no place to be trained on: {no_place}.",
        "A model from scratch (--base scratch) may use it on any side.",
    ),
    Rule.NOTHING_TO_TRAIN: Told(
        Side.OUT,
        "nothing to train its class on",
        "Its class {class_name} has no image to train on: none of its visits and groups is drawn to train "
        "and fits into {maximum} images.",
        "Photos of other visits give the class something to train on.",
    ),
}

TRAINED_AGAIN = (
    "It is trained on as {class_name}: {seen}, and what was trained on is trained on again or left out, "
    "never tested on."
)
"""Of Rule.TRAIN, where an ancestor decided it."""

NOT_THERE = "It is not in snapshot {snapshot}, which was packed at {packed_at} with {images} images."

SIDES: dict[Rule, Side] = {rule: told.side for rule, told in TOLD.items()}
