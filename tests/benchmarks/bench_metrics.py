"""All figures of all sets from a memory-mapped score matrix, beside scikit-learn's for the same, in one run.

BENCH_METRICS sets the sizes (IMAGESxCLASSES, comma-separated). Each side is a process of its own, so that
its peak memory is its own; the figures of both are compared to 1e-9.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.evaluator.domain.answers import read_answers
from services.evaluator.domain.gate import Limits, rules_for
from services.evaluator.domain.metrics.losses import PairWeights, weighted_losses
from services.evaluator.domain.report import Beside, document, evaluate
from tests.support.score_matrices import softmax_scores

SIZES = [
    tuple(map(int, size.split("x"))) for size in os.environ.get("BENCH_METRICS", "20000x300,100000x1000").split(",")
]  # fmt: skip
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.15, "difficult": 0.05}
SOURCES = ("real", "staged", "synthetic")
FLAGS = ("blurry", "dark", "tiny")
TOP_KS = (1, 3, 5, 10)
FIGURES = (
    "accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "matthews", "log_loss", "roc_auc_macro",
    "roc_auc_weighted", "average_precision_macro", "average_precision_weighted",
)  # fmt: skip


@pytest.mark.parametrize(("images", "classes"), SIZES)
def test_all_figures(images: int, classes: int, tmp_path: Path) -> None:
    write_scores(tmp_path, images, classes)
    size = images * classes * 4 / 2**20
    told = {side: run(side, tmp_path) for side in ("ours", "scikit-learn")}
    print(f"\n{images:,} x {classes:,} float32, {size:.0f} MiB, 4 sets, 3 sources, 3 flags")
    for side, one in told.items():
        print(
            f"{side:14} {one['cpu_s']:8.2f} CPU-s {one['wall_s']:8.2f} s  peak {one['peak_mib']:7.0f} MiB "
            f"over the imports = {one['peak_mib'] / size:.2f} x the matrix"
        )
    print(f"CPU time {told['scikit-learn']['cpu_s'] / told['ours']['cpu_s']:.0f} times less")
    for stage, seconds in told["ours"]["stages"].items():
        print(f"  {stage:20} {seconds:8.2f} CPU-s")
    assert told["ours"]["figures"].keys() == told["scikit-learn"]["figures"].keys()
    for name, expected in told["scikit-learn"]["figures"].items():
        assert told["ours"]["figures"][name] == pytest.approx(expected, abs=1e-9), name


def run(side: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_metrics", side, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def write_scores(folder: Path, images: int, classes: int) -> None:
    scores = np.lib.format.open_memmap(
        folder / "scores.npy", mode="w+", dtype=np.float32, shape=(images, classes)
    )
    truth = np.empty(images, np.int64)
    for first in range(0, images, 2_000):
        part, truth[first : first + 2_000] = softmax_scores(min(2_000, images - first), classes, first)
        scores[first : first + 2_000] = part
    scores.flush()
    random = np.random.default_rng(0)
    np.savez(
        folder / "rows.npz",
        truth=truth,
        sets=random.choice(len(SHARES), images, p=list(SHARES.values())),
        source=random.integers(0, len(SOURCES), images),
        flag=random.integers(0, 4 * len(FLAGS), images),  # 3 of 4 images have none
    )


def positions(rows: Any) -> dict[str, Any]:
    return {name: np.flatnonzero(rows["sets"] == place) for place, name in enumerate(SHARES)}


def ours(scores: Any, rows: Any) -> tuple[dict[str, Any], dict[str, float]]:
    stages, classes = {}, scores.shape[1]
    start = time.process_time()
    answers = read_answers(scores, rows["truth"])
    stages["answers"] = time.process_time() - start
    pairs = PairWeights({(index, index + 1): 0.5 for index in range(0, classes - 1, 2)}, classes)
    weighted = weighted_losses(scores, answers, pairs)
    stages["weighted log loss"] = time.process_time() - start - stages["answers"]
    beside = Beside(
        scores, weighted, [SOURCES[i] for i in rows["source"]],
        [FLAGS[i : i + 1] if i < len(FLAGS) else () for i in rows["flag"]],
    )  # fmt: skip
    told = evaluate(answers, positions(rows), 95.0, rules_for(Limits()), beside)
    stages["all sets"] = time.process_time() - start - sum(stages.values())
    written = document(told, [str(index) for index in range(classes)])
    stages["report document"] = time.process_time() - start - sum(stages.values())
    figures: dict[str, Any] = {}
    for one in written["sets"]:
        name = one["name"]
        figures |= {f"{name} {figure}": one[figure] for figure in FIGURES}
        figures |= {f"{name} top {line['k']}": line["accuracy"] for line in one["top_k"]}
        shown = [line for line in one["per_class"] if line["images"]]
        for figure in ("precision", "recall", "f1", "roc_auc", "average_precision"):
            figures[f"{name} {figure} per class"] = [line[figure] or 0.0 for line in shown]
        figures[f"{name} confusion"] = sum(truth * said * images for truth, said, images in one["confusion"])
        figures[f"{name} reliability"] = [point["accuracy"] for point in one["reliability"]]
        for part in one["per_source"] + one["per_flag"]:
            for figure in ("accuracy", "balanced_accuracy", "f1_macro", "log_loss"):
                figures[f"{name} {part['name']} {figure}"] = part[figure]
    return figures, stages


def scikit_learns(scores: Any, rows: Any) -> tuple[dict[str, Any], dict[str, float]]:
    figures: dict[str, Any] = {}
    for name, of_set in positions(rows).items():
        part, truth = np.asarray(scores[of_set], np.float64), rows["truth"][of_set]
        predicted = part.argmax(axis=1)
        figures |= {f"{name} {figure}": value for figure, value in short(part, truth, predicted).items()}
        figures |= {f"{name} {figure}": value for figure, value in long(part, truth, predicted).items()}
        groups = {source: rows["source"][of_set] == place for place, source in enumerate(SOURCES)}
        groups |= {flag: rows["flag"][of_set] == place for place, flag in enumerate(FLAGS)}
        groups["none"] = rows["flag"][of_set] >= len(FLAGS)
        for group, mask in groups.items():
            told = short(part[mask], truth[mask], predicted[mask])
            figures |= {f"{name} {group} {figure}": value for figure, value in told.items()}
    return figures, {}


def short(scores: Any, truth: Any, predicted: Any) -> dict[str, Any]:
    from sklearn import metrics as sk

    return {
        "accuracy": sk.accuracy_score(truth, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
        "f1_macro": sk.f1_score(truth, predicted, average="macro"),
        "log_loss": sk.log_loss(truth, scores, labels=np.arange(scores.shape[1])),
    }


def long(scores: Any, truth: Any, predicted: Any) -> dict[str, Any]:
    from sklearn import metrics as sk
    from sklearn.calibration import calibration_curve

    labels = np.arange(scores.shape[1])
    shown, images = np.unique(truth, return_counts=True)
    auc = np.array([sk.roc_auc_score(truth == index, scores[:, index]) for index in shown])
    average = np.array([sk.average_precision_score(truth == index, scores[:, index]) for index in shown])
    sk.classification_report(truth, predicted, output_dict=True, zero_division=0)
    matrix = sk.confusion_matrix(truth, predicted, labels=labels)
    lines = sk.precision_recall_fscore_support(truth, predicted, labels=shown, zero_division=0)
    return {
        "f1_weighted": sk.f1_score(truth, predicted, average="weighted"),
        "matthews": sk.matthews_corrcoef(truth, predicted),
        **{f"top {k}": sk.top_k_accuracy_score(truth, scores, k=k, labels=labels) for k in TOP_KS},
        "roc_auc_macro": auc.mean(),
        "roc_auc_weighted": np.average(auc, weights=images),
        "average_precision_macro": average.mean(),
        "average_precision_weighted": np.average(average, weights=images),
        "precision per class": lines[0].tolist(),
        "recall per class": lines[1].tolist(),
        "f1 per class": lines[2].tolist(),
        "roc_auc per class": auc.tolist(),
        "average_precision per class": average.tolist(),
        "confusion": int(labels @ matrix @ labels),
        "reliability": calibration_curve(truth == predicted, scores.max(axis=1), n_bins=15)[0].tolist(),
    }


def peak_mib() -> float:
    """Most memory this process ever had, mapped pages of files included."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main(side: str, folder: Path) -> None:
    warnings.simplefilter("ignore")  # classes that are answered and never shown
    if side == "scikit-learn":
        import sklearn.calibration
        import sklearn.metrics  # noqa: F401 - its import is not timed
    before = peak_mib()
    rows = dict(np.load(folder / "rows.npz"))
    cpu, wall = time.process_time(), time.perf_counter()
    scores = np.load(folder / "scores.npy", mmap_mode="r")
    figures, stages = ours(scores, rows) if side == "ours" else scikit_learns(scores, rows)
    told = {
        "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall,
        "peak_mib": peak_mib() - before, "stages": stages, "figures": figures,
    }  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
