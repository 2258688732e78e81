"""The report document as tidy rows: one figure of one set, class, source or flag each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Entry = Mapping[str, Any]


class FigureRow(NamedTuple):
    """``value`` of ``images`` images with its 95 % interval; what does not narrow the set is None."""

    set: str
    class_name: str | None
    source: str | None
    flag: str | None
    figure: str
    value: float
    low: float | None
    high: float | None
    images: int


OF_SET = {
    "accuracy": "known_images", "balanced_accuracy": "known_images", "f1_macro": "known_images",
    "f1_weighted": "known_images", "matthews": "known_images", "log_loss": "known_images",
    "weighted_log_loss": "known_images", "roc_auc_macro": "known_images", "roc_auc_weighted": "known_images",
    "average_precision_macro": "known_images", "average_precision_weighted": "known_images",
    "calibration_error": "known_images", "true_positives_above": "images", "false_positives_above": "images",
    "confidence_min": "images", "confidence_median": "images", "confidence_mean": "images",
    "confidence_max": "images",
}  # fmt: skip
"""Figure of a set, and the field with how many images it is of."""
OF_CLASS = ("recall", "precision", "f1", "roc_auc", "average_precision")
OF_GROUP = ("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "weighted_log_loss", "mean_confidence")


def figure_rows(document: Entry) -> Iterator[FigureRow]:
    """Of all sets; what could not be measured has no row."""
    for one in document["sets"]:
        name = one["name"]
        for figure, images in OF_SET.items():
            interval = one.get(f"{figure}_interval")
            yield from _row(name, figure, one[figure], interval, one[images])
        for line in one["top_k"]:
            figure = f"top_{line['k']}_accuracy"
            yield from _row(name, figure, line["accuracy"], line["interval"], one["known_images"])
        for line in one["per_class"]:
            yield from _of_class(name, line)
        for line in one["per_class_threshold"]:
            yield from _at_threshold(name, line)
        for part, groups in (("source", one["per_source"]), ("flag", one["per_flag"])):
            for group in groups:
                yield from _of_group(name, part, group)


def _of_class(name: str, line: Entry) -> Iterator[FigureRow]:
    joined = line["images"] + line["predicted"] - line["correct"]
    images: dict[str, int] = {"precision": line["predicted"], "f1": joined}
    for figure in OF_CLASS:
        of = images.get(figure, int(line["images"]))
        yield from _row(
            name, figure, line[figure], line.get(f"{figure}_interval"), of, class_name=line["label"]
        )


def _at_threshold(name: str, line: Entry) -> Iterator[FigureRow]:
    if not line["images"] or line["label"] is None:
        return
    for figure, interval in (
        ("true_positives_above", line["true_positives_interval"]), ("false_positives_above", None)
    ):  # fmt: skip
        value = line[figure] / line["images"]
        yield from _row(name, figure, value, interval, line["images"], class_name=line["label"])


def _of_group(name: str, part: str, group: Entry) -> Iterator[FigureRow]:
    for figure in OF_GROUP:
        images = group["images"] if figure == "mean_confidence" else group["known"]
        interval = group["accuracy_interval"] if figure == "accuracy" else None
        yield from _row(name, figure, group[figure], interval, images, **{part: group["name"]})


def _row(
    name: str,
    figure: str,
    value: float | None,
    interval: Sequence[float] | None,
    images: int,
    *,
    class_name: str | None = None,
    source: str | None = None,
    flag: str | None = None,
) -> Iterator[FigureRow]:
    if value is not None:
        low, high = interval or (None, None)
        yield FigureRow(name, class_name, source, flag, figure, float(value), low, high, images)
