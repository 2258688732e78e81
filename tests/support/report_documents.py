"""Report documents of random score matrices, and the files that they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contracts.events import ModelTrained
from services.evaluator.domain.answers import NO_CLASS, Answers, read_answers
from services.evaluator.domain.benchmarks import benchmark_table, column_of, required_by, table_document
from services.evaluator.domain.gate import Limits, rules_for
from services.evaluator.domain.metrics.losses import PairWeights, weighted_losses
from services.evaluator.domain.report import Beside, document, evaluate
from services.evaluator.domain.sets import positions_by_set
from tests.support.report_check import Filed

REF = {"bucket": "reports", "key": "k", "size": 1, "sha256": "0" * 64}
RULES = rules_for(Limits())
FLAGS: tuple[tuple[str, ...], ...] = ((), ("blurry",), ("blurry", "dark"))


def model(**change: Any) -> ModelTrained:
    """What was trained."""
    return ModelTrained.model_validate({
        "run_id": "run-0002", "model_version": "002", "snapshot_id": "abc", "network": "small_cnn",
        "image_size_px": 8, "classes": ["a"], "model": REF, "dataset": REF, "history": REF,
        "images": {"train": 0, "validation": 0, "test": 0, "benchmark": 0, "out": 0}, "epochs": 1,
        "best_epoch": 1, "trained_at": "2026-11-22T00:00:00Z",
    } | change)  # fmt: skip


def scored(
    images: int, classes: int, wrong: float, benchmarks: bool
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], list[str]]:
    """Scores, truths and sets; a share ``wrong`` of the answers is another class."""
    draws = np.random.default_rng(7)
    truth = draws.integers(0, classes, images)
    shown = np.where(draws.random(images) < wrong, draws.integers(0, classes, images), truth)
    raw = draws.normal(size=(images, classes))
    raw[np.arange(images), shown] += 4 + 9 * draws.random(images)
    scores = np.exp(raw)
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    kinds = ["train", "validation", "test", "difficult", "out-of-scope"][: 5 if benchmarks else 3]
    sets = [kinds[number % len(kinds)] for number in range(images)]
    return scores, np.where(np.array(sets, np.str_) == "out-of-scope", NO_CLASS, truth), sets


def document_of(
    images: int, classes: Sequence[str], wrong: float = 0.2, benchmarks: bool = True
) -> dict[str, Any]:
    """The report of a random model."""
    scores, truth, sets = scored(images, len(classes), wrong, benchmarks)
    return _document(scores, read_answers(scores, truth), sets, classes, {})


def filed_of_random(images: int, classes: Sequence[str], pairs: dict[tuple[str, str], float]) -> Filed:
    """The same with the files it was made from."""
    scores, truth, sets = scored(images, len(classes), 0.3, True)
    answers = read_answers(scores, truth)
    index = {name: at for at, name in enumerate(classes)}
    weights = {
        (index[a], index[b]): weight
        for (one, other), weight in pairs.items()
        for a, b in ((one, other), (other, one))
    }
    ids = [f"{number:064x}" for number in range(images)]
    names = [None if t == NO_CLASS else classes[t] for t in truth]
    results = [
        {
            "image_id": ids[at], "set": sets[at], "truth": names[at],
            "predicted": classes[int(answers.predicted[at])], "confidence": float(answers.confidence[at]),
        }
        for at in range(images)
    ]  # fmt: skip
    manifest = [
        {
            "image_id": ids[at], "class_name": names[at], "source": ("real", "staged")[at % 2],
            "side": sets[at] if sets[at] in ("train", "validation", "test") else "benchmark",
            "benchmark": sets[at].replace("out-of-scope", "Out of scope"),
        }
        for at in range(images)
    ]  # fmt: skip
    flags = {ids[at]: FLAGS[at % 3] for at in range(images)}
    return Filed(_document(scores, answers, sets, classes, weights), results, scores, manifest, pairs, flags)


def _document(
    scores: np.ndarray[Any, Any],
    answers: Answers,
    sets: list[str],
    classes: Sequence[str],
    weights: dict[tuple[int, int], float],
) -> dict[str, Any]:
    images = len(sets)
    beside = Beside(
        scores=scores,
        weighted=weighted_losses(scores, answers, PairWeights(weights, len(classes))),
        sources=[("real", "staged")[at % 2] for at in range(images)],
        flags=[FLAGS[at % 3] for at in range(images)],
        classes=classes,
    )
    evaluation = evaluate(answers, positions_by_set(sets), 95.0, RULES, beside)
    ours = {
        name: column_of(one)
        for name, one in evaluation.thresholds.items()
        if name not in ("train", "validation")
    }
    return document(evaluation, classes) | {
        "model_version": "002", "request_id": "run-0002", "threshold_percent": 95.0, "results": REF,
        "scores": REF, "confused_pairs": {"version": 0, "missing": []}, "production": None,
        "benchmarks": table_document(benchmark_table(ours, None, required_by(RULES))),
    }  # fmt: skip
