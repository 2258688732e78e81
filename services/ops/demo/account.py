"""What the demo knew beforehand against what the library says: pure figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.ops.demo.material import Exhibit, Kind

Row = Mapping[str, Any]


def share_of(part: int, whole: int) -> float | None:
    """``part`` of ``whole`` as a share, None of nothing."""
    return part / whole if whole else None


def ends(counts: Row) -> dict[str, Any]:
    """Whether every upload ended in exactly one state."""
    ended = counts["accepted"] + counts["exact_duplicates"] + counts["rejected"]
    return {"uploaded": counts["uploaded"], "ended": ended, "balanced": ended == counts["uploaded"]}


def duplicates(
    exhibits: Sequence[Exhibit], image_of: Mapping[str, str], near: frozenset[str] | set[str]
) -> dict[str, Any]:
    """Planted copies that were found, and distinct pictures that were taken for copies.

    Args:
        exhibits: everything uploaded.
        image_of: image id by file name.
        near: ids of the images with a near verdict.
    """
    planted = [one for one in exhibits if one.kind is Kind.NEAR]
    distinct = {
        image_of[one.file_name] for one in exhibits if one.kind is Kind.DISTINCT and one.file_name in image_of
    }
    missed = [one.file_name for one in planted if image_of.get(one.file_name) not in near]
    flagged = len(distinct & near)
    return {
        "planted_near": len(planted),
        "found_near": len(planted) - len(missed),
        "missed_near": missed,
        "planted_exact": sum(one.kind is Kind.EXACT for one in exhibits),
        "distinct": len(distinct),
        "distinct_flagged": flagged,
        "distinct_flagged_share": share_of(flagged, len(distinct)),
    }


def broken_ends(exhibits: Sequence[Exhibit], uploads: Iterable[Row]) -> dict[str, str]:
    """How each planted broken file ended, by file name."""
    ends_by_name = {
        row["file_name"]: f"{row['state']}: {row['code']}" if row.get("code") else str(row["state"])
        for row in uploads
    }
    return {
        one.file_name: ends_by_name.get(one.file_name, "accepted")
        for one in exhibits
        if one.kind is Kind.BROKEN
    }


def bulk_accuracy(
    exhibits: Sequence[Exhibit], image_of: Mapping[str, str], answers: Mapping[str, Row], threshold: float
) -> dict[str, Any]:
    """How well a model named what came without a label but has a class the demo knows.

    Args:
        answers: label and confidence by image id.
        threshold: per cent.
    """
    asked = {
        image_of[one.file_name]: one.truth
        for one in exhibits
        if one.kind is Kind.DISTINCT and one.truth and not one.labelled and one.file_name in image_of
    }
    named = {image: answers[image] for image in asked if image in answers}
    above = {image: row for image, row in named.items() if row["confidence"] >= threshold}
    right = sum(row["label"] == asked[image] for image, row in named.items())
    right_above = sum(row["label"] == asked[image] for image, row in above.items())
    return {
        "unlabelled": len(asked),
        "identified": len(named),
        "threshold": threshold,
        "above": len(above),
        "right_share": share_of(right, len(asked)),
        "right_above_share": share_of(right_above, len(asked)),
    }


def epochs_to(curve: Sequence[Row], accuracy: float) -> int | None:
    """The first epoch whose validation accuracy reaches ``accuracy``, None if none does."""
    for row in curve:
        value = validation(row)
        if value is not None and value >= accuracy:
            return int(row["epoch"])
    return None


def comparison(fine_tuned: Sequence[Row], scratch: Sequence[Row]) -> dict[str, Any] | None:
    """Epochs that each run needed to the from-scratch run's best validation accuracy.

    None when either run has no validation set.
    """
    best = [value for row in scratch if (value := validation(row)) is not None]
    own = [value for row in fine_tuned if (value := validation(row)) is not None]
    if not best or not own:
        return None
    return {
        "scratch_best_accuracy": max(best),
        "fine_tuned_best_accuracy": max(own),
        "scratch_epochs": epochs_to(scratch, max(best)),
        "fine_tuned_epochs": epochs_to(fine_tuned, max(best)),
        "first_epoch_scratch": best[0],
        "first_epoch_fine_tuned": own[0],
    }


def validation(row: Row) -> float | None:
    """Validation accuracy of one epoch."""
    value = row["val_accuracy"]
    return None if value is None else float(value)
