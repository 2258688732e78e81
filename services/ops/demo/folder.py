"""The user's own pictures as the demo's material: labels from the folder, classes in two rounds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path

from contracts.training import DatasetRules
from services.ops.clients.plan import PlannedFile, UploadRules, plan_uploads
from services.ops.clients.ulid import UlidSource
from services.ops.demo.material import Exhibit, Kind, Material

FIRST_ROUND_SHARE = 0.7
UNLABELLED_FRACTION = 0.2
FEW_UNLABELLED = 0.05
"""A stray text file among labelled pictures is no set to identify."""
MINIMUM = DatasetRules().minimum_per_class
SPARE = 4
"""Labels that a class keeps above the minimum: a near duplicate or two is left out of training."""
FEWEST_CLASSES = 2
"""A classifier of one class has nothing to tell apart."""

SETTINGS = {
    # 64 px keep a CPU run in minutes; photographs lose detail, hence the modest accuracy.
    "image_size_px": "64",
}
OPTIONS: dict[str, object] = {
    "network": "small_cnn", "epochs": 30, "learning_rate": 3e-3, "schedule": "cosine",
}  # fmt: skip


def folder_material(folder: Path) -> Material:
    """Plan the demo on ``folder`` (``labels.csv`` or one folder per class).

    Raises:
        OpsError: nothing to upload, or the table of labels cannot be used.
    """
    plan = plan_uploads([folder], UploadRules(), UlidSource())
    files = plan.files
    remarks = (
        [f"{len(plan.missing)} rows of labels.csv name files that are not there"] if plan.missing else []
    )
    kept_back: set[str] = set()
    given = {file.file_name: file.label for file in files if file.label}
    if len(files) - len(given) < FEW_UNLABELLED * len(files):
        kept_back = withhold(given)
        remarks.append(
            f"{len(files) - len(given)} files came without a label, too few to guess at: "
            f"{len(kept_back)} more labels are kept back"
        )
    counts = Counter(file.label for file in files if file.label and file.file_name not in kept_back)
    late, remark = late_classes(counts)
    remarks.append(remark)
    exhibits = [_exhibit(file, file.file_name not in kept_back, late) for file in files]
    exhibits.sort(key=lambda one: one.round)
    return Material(str(folder), tuple(exhibits), SETTINGS, OPTIONS, remarks=tuple(remarks))


def _exhibit(file: PlannedFile, labelled: bool, late: Sequence[str]) -> Exhibit:
    return Exhibit(
        file.path,
        file.file_name,
        Kind.DISTINCT,
        file.label,
        labelled and file.label is not None,
        round=2 if file.label in late else 1,
        source=file.source,
        guest=file.guest,
        taken_at=file.taken_at,
    )


def withhold(
    labels: Mapping[str, str], fraction: float = UNLABELLED_FRACTION, minimum: int = MINIMUM
) -> set[str]:
    """Files whose label is kept back: up to every fifth of a class that can be trained and stays so.

    A model cannot name what it was not trained on, so smaller classes keep all their labels.
    """
    by_class: dict[str, list[str]] = defaultdict(list)
    for name in sorted(labels):
        by_class[labels[name]].append(name)
    chosen: set[str] = set()
    for names in by_class.values():
        wanted = min(int(len(names) * fraction), len(names) - minimum - SPARE)
        if wanted > 0:
            step = len(names) / wanted
            chosen.update(names[int(step * number)] for number in range(wanted))
    return chosen


def late_classes(counts: Mapping[str, int], minimum: int = MINIMUM) -> tuple[list[str], str]:
    """Classes of the second round, and the sentence that explains the split."""
    trainable = sorted(name for name, count in counts.items() if count >= minimum)
    first = ceil(len(trainable) * FIRST_ROUND_SHARE)
    if len(trainable) < FEWEST_CLASSES:
        return [], (
            f"{len(trainable)} of {len(counts)} classes have the {minimum} labelled pictures that training "
            f"needs, and {FEWEST_CLASSES} such classes are the least: the pictures are stored, "
            "no model is trained"
        )
    if first < FEWEST_CLASSES or first == len(trainable):
        return [], (
            f"{len(trainable)} of {len(counts)} classes have {minimum} labelled pictures: too few for "
            "two rounds, so all come at once and the second model is fine-tuned on the same classes"
        )
    late = trainable[first:]
    return late, (
        f"{len(trainable)} of {len(counts)} classes have {minimum} labelled pictures: "
        f"{first} are trained first, {', '.join(late)} arrive later; the rest stays in the library"
    )
