"""Snapshot rows without a snapshot, and Hypothesis strategies for whole libraries of them."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import strategies as st

from contracts.manifests import SnapshotRow
from contracts.values import LabelKind, Source


def image_name(number: int) -> str:
    """The image id of image ``number``."""
    return hashlib.sha256(f"image {number}".encode()).hexdigest()


def snapshot_row(number: int, label: str | None = "robin", **columns: Any) -> SnapshotRow:
    """A real, labelled image in a group of its own, unless ``columns`` say otherwise."""
    name = image_name(number)
    return SnapshotRow.model_validate(
        {
            "image_id": name, "label": label, "label_kind": LabelKind.CLASS if label else None,
            "source": Source.REAL, "guest": None, "group": name, "near_duplicate_of": None,
            "benchmark": None, "taxonomy_version": 1, "shard": "s/0.tar", "offset": 512, "size": 9,
            "sha256": name,
        }
        | columns
    )  # fmt: skip


def class_rows(label: str, count: int, first: int = 0, **columns: Any) -> list[SnapshotRow]:
    """``count`` images of one class, numbered from ``first``."""
    return [snapshot_row(first + number, label, **columns) for number in range(count)]


@st.composite
def one_row(draw: st.DrawFn, number: int) -> SnapshotRow:
    """Any state of image ``number``; groups and guests are few, so that images share them."""
    label = draw(st.sampled_from(["a", "b", "c", None]))
    kind = draw(st.sampled_from([LabelKind.CLASS] * 12 + list(LabelKind))) if label else None
    own = image_name(number)
    # Some groups are named after an image that is there, and may have moved on to another group.
    shared = st.integers(0, 12).map(lambda group: image_name(group * 3 if group % 3 == 0 else 1000 + group))
    return snapshot_row(
        number, label, label_kind=kind,
        source=draw(st.sampled_from([Source.REAL, Source.REAL, Source.STAGED, Source.SYNTHETIC])),
        group=draw(st.just(own) | shared), guest=draw(st.sampled_from([None, None, "ann", "bob"])),
        visit=draw(st.sampled_from([None] * 6 + ["morning", "evening"])),
        near_duplicate_of=draw(st.sampled_from([None] * 9 + [image_name(0)])),
        benchmark=draw(st.sampled_from([None] * 12 + ["difficult"])),
    )  # fmt: skip


@st.composite
def libraries_of_rows(draw: st.DrawFn, numbers: int = 40) -> list[SnapshotRow]:
    """Some of ``numbers`` images in any state, under any merge of their labels."""
    chosen = draw(st.lists(st.integers(0, numbers - 1), unique=True))
    rows = [draw(one_row(number)) for number in chosen]
    merged = draw(
        st.none() | st.fixed_dictionaries({label: st.sampled_from([label, "ab", "all"]) for label in "abc"})
    )
    if merged is None:  # packed before there were classes
        return rows
    return [
        row.model_copy(update={"class_name": merged[str(row.label)]})
        if row.label_kind is LabelKind.CLASS
        else row
        for row in rows
    ]
