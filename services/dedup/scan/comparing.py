"""From what was read of a folder to the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.dedup.domain.alike import Limits
from services.dedup.domain.fingerprint import DETECTOR
from services.dedup.scan.asked import Progress, Scan
from services.dedup.scan.exactness import merge_equal
from services.dedup.scan.folder import Files, FolderRefused
from services.dedup.scan.grouping import Groups, grouped
from services.dedup.scan.matching import Order, Prints, in_order, pairs
from services.dedup.scan.report import FORMAT, Reporter, counts
from services.dedup.scan.scanning import Readings, Scanner
from services.dedup.scan.showing import with_pictures
from services.dedup.settings import DedupSettings


def compare(scanner: Scanner, made: Readings, asked: Scan, progress: Progress) -> dict[str, Any]:
    """Find, group and write the report; what it counts.

    Raises:
        FolderRefused: there is nothing to compare.
        TooManyPairs, PoolBroken: with what to do.
    """
    progress({"stage": "comparing", "done": 0, "total": None})
    limits = _limits(asked.distance_bits)
    order = in_order(scanner.files, made)
    if not len(order.numbers):
        raise FolderRefused(_nothing(asked.folder, made))
    found = pairs(Prints(made, order), limits, orientations=asked.turned, threads=asked.processes)
    left = merge_equal(scanner, made, order, found)
    report = _report(scanner.files, made, order, grouped(left), limits, asked)
    if asked.shown is not None:
        progress({"stage": "drawing", "done": 0, "total": None})
        asked.shown.write_text(json.dumps(with_pictures(scanner, report, asked.shown_pairs)), "utf-8")
    asked.report.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    counted: dict[str, Any] = report["counts"]
    return counted


def _limits(distance_bits: int | None) -> Limits:
    """What distances mean to the service with that setting."""
    if distance_bits is None:
        return Limits()
    limits: Limits = DedupSettings.model_construct(max_distance_bits=distance_bits).limits
    return limits


def _nothing(folder: Path, made: Readings) -> str:
    if not made.reasons:
        return f"there are no pictures in {folder}: give another folder"
    reason = made.reasons[min(made.reasons)]
    return f"none of the {len(made.reasons)} pictures in {folder} can be read; of the first: {reason}"


def _report(
    files: Files, made: Readings, order: Order, groups: Groups, limits: Limits, asked: Scan
) -> dict[str, Any]:
    reporter = Reporter(files, made, order)
    exact, near = reporter.exact(), reporter.near(groups)
    review, unreadable = reporter.pairs(groups.review), reporter.unreadable()
    return {
        "format": FORMAT,
        "detector": DETECTOR,
        "distance_bits": limits.automatic_bits,
        "turned": asked.turned,
        "counts": {
            **counts(files, made),
            "exact_groups": len(exact),
            "exact_copies": sum(len(row["copies"]) for row in exact),
            "near_groups": len(near),
            "near_copies": sum(len(row["copies"]) for row in near),
            "review_pairs": len(review),
        },
        "exact": exact,
        "near": near,
        "copies_of_copies": reporter.pairs(groups.others),
        "review": review,
        "unreadable": unreadable,
    }
