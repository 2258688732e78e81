"""A data set out of a snapshot's manifest, step by step, beside the bare Parquet files and scikit-learn's split.

Two libraries: 100,000 images in 700 classes, and 1,500 classes of 125. Each model has three ancestors, whose
manifests are read as well. BENCH_IMAGES sets another number of images (of 700 classes).
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.model_selection import GroupShuffleSplit

from contracts.manifests import SNAPSHOT_COLUMNS
from contracts.training import DatasetRules
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.explaining import Explainer
from services.trainer.domain.known import Ancestor
from services.trainer.domain.seen import seen_by
from services.trainer.domain.summary import counts_of, summarise
from services.trainer.fitting.manifest import read_dataset, read_snapshot, write_dataset

T = TypeVar("T")
IMAGES = int(os.environ.get("BENCH_IMAGES", "100000"))
LIBRARIES = {"100,000 images": (IMAGES, 700), "1,500 x 125": (187_500, 1_500)}
RULES = DatasetRules(train_share=0.8)
ANCESTORS = 3


def manifest(images: int, classes: int) -> bytes:
    """Guests' visits of 20, a third of them named; bursts of 3; a tenth staged, a tenth without a label."""
    ids = sorted(hashlib.sha256(str(number).encode()).hexdigest() for number in range(images))
    numbers = range(images)
    labels = [f"class {n % classes}" if n % 10 else None for n in numbers]
    columns = {
        "image_id": ids,
        "label": labels,
        "label_kind": ["class" if label else None for label in labels],
        "source": ["staged" if n % 10 == 7 else "real" for n in numbers],
        "guest": [f"guest {n // 20}" if n % 2 else None for n in numbers],
        "group": [ids[n - n % 3] if n % 50 < 3 else ids[n] for n in numbers],
        "near_duplicate_of": [None] * images,
        "benchmark": ["difficult" if n % 500 == 1 else None for n in numbers],
        "taxonomy_version": [0] * images,
        "class_name": labels,
        "visit": [f"day {n // 20}" if n % 3 == 0 else None for n in numbers],
        "shard": [f"{n // 15_000:016x}.tar" for n in numbers],
        "offset": [512 + 100_000 * (n % 15_000) for n in numbers],
        "size": [90_000] * images,
        "sha256": ids[::-1],
    }
    return written(pa.table(columns, schema=schema()))


def schema() -> pa.Schema:
    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in SNAPSHOT_COLUMNS.items()])


def written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=3, row_group_size=20_000)
    return sink.getvalue()


def timed(what: str, work: Callable[[], T]) -> T:
    """On a busy machine the processor time is nearer to what a quiet one takes."""
    wall, processor = time.perf_counter(), time.process_time()
    made = work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"  {what:58} {wall:7.2f} s wall {processor:7.2f} s of a core")
    return made


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_data_set_with_ancestors(name: str) -> None:
    images, classes = LIBRARIES[name]
    data = manifest(images, classes)
    print(f"\n{name}: {images:,} images, {classes:,} classes, {len(data) / 1e6:.1f} MB")
    snapshot = timed("read the snapshot's manifest", lambda: read_snapshot(data))
    line = [write_dataset(build_dataset(snapshot, RULES))]
    for _ in range(ANCESTORS - 1):
        line.append(write_dataset(build_dataset(snapshot, RULES, seen_by(map(read_dataset, line)))))
    seen = timed(f"read {ANCESTORS} ancestors' manifests", lambda: seen_by(map(read_dataset, line)))
    timed("build, from scratch", lambda: build_dataset(snapshot, RULES))
    dataset = timed(f"build, with {ANCESTORS} ancestors", lambda: build_dataset(snapshot, RULES, seen))
    held = timed("write the data set's manifest", lambda: write_dataset(dataset))
    timed("read it, a row object for each image", lambda: list(read_dataset(held)))
    timed("summary", lambda: summarise(dataset, snapshot, RULES))
    explainer = Explainer(dataset, snapshot, RULES, [Ancestor("001", read_dataset(one)) for one in line])
    first = dataset.column("image_id")[0]
    timed("explain one image", lambda: explainer.explain(first))
    table = timed(
        "floor: pyarrow reads the snapshot's manifest", lambda: pq.read_table(pa.BufferReader(data))
    )
    timed("floor: pyarrow writes as much", lambda: written(table))
    groups = np.unique(dataset.column("unit"), return_inverse=True)[1]
    splitter = GroupShuffleSplit(1, train_size=0.9, random_state=7)
    timed(
        "peer: scikit-learn splits the units once, no other rule",
        lambda: next(splitter.split(groups, groups=groups)),
    )
    assert write_dataset(build_dataset(snapshot, RULES, seen)) == held
    print(f"  {counts_of(dataset)}")
