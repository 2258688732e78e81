"""A library of any size in real shards, out of few pictures; and a run on it that stops after a step.

Usage: python -m tests.support.many_classes SPEC   (JSON of a TrainSpec; settings by environment)
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from contracts.manifests import SNAPSHOT_COLUMNS, Buckets
from contracts.values import ObjectRef
from services.runtime.objectstore import ObjectStore

TAR_BLOCK = 512


def pictures(count: int, size_px: int) -> list[bytes]:
    """PNGs of few bytes and all their pixels: stripes."""
    made = []
    for number in range(count):
        pixels = np.full((size_px, size_px, 3), (number * 37 % 256, 90, 200), np.uint8)
        pixels[number % 8 :: 8] = 255 - number * 11 % 256
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
        made.append(held.getvalue())
    return made


def pack(store: ObjectStore, name: str, classes: int, per_class: int, size_px: int, shards: int) -> ObjectRef:
    """Shards and the manifest of a snapshot in which every image is a real one of a class."""
    pngs = pictures(16, size_px)
    digests = [hashlib.sha256(png).hexdigest() for png in pngs]
    columns: dict[str, list[Any]] = {column: [] for column in SNAPSHOT_COLUMNS}
    for shard in range(shards):
        key, held = f"{name}/{shard}.tar", io.BytesIO()
        for number in range(shard, classes * per_class, shards):
            png, label = pngs[number % 16], f"class {number % classes:05d}"
            held.write(bytes(TAR_BLOCK))  # a header, which nobody reads here
            image_id = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
            row = {
                "image_id": image_id, "label": label, "label_kind": "class", "source": "real", "guest": None,
                "group": image_id, "near_duplicate_of": None, "benchmark": None, "taxonomy_version": 1,
                "class_name": label, "visit": None, "shard": key, "offset": held.tell(), "size": len(png),
                "sha256": digests[number % 16],
            }  # fmt: skip
            for column, value in row.items():
                columns[column].append(value)
            held.write(png + bytes(-len(png) % TAR_BLOCK))
        store.put(Buckets.SNAPSHOTS, key, held.getvalue())
    schema = pa.schema([(column, pa.type_for_alias(kind)) for column, kind in SNAPSHOT_COLUMNS.items()])
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema).sort_by("image_id"), sink)
    return store.put(Buckets.SNAPSHOTS, f"{name}/manifest.parquet", sink.getvalue())


def stages(spec: dict[str, Any], steps: int) -> Iterator[dict[str, Any]]:
    """Run the trainer's own job until ``steps`` steps are done; seconds and peak memory at each stage."""
    from services.trainer import job
    from services.trainer.fitting.loop import StepReport
    from services.trainer.runs import training

    started, told, done = time.monotonic(), list[dict[str, Any]](), [0]

    def stage(name: str) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        told.append({"stage": name, "seconds": round(time.monotonic() - started, 1), "peak_rss": peak})

    class Staged(training.Run):
        def _on_read(self, here: int, wanted: int) -> None:
            if not any(one["stage"] == "data set and network" for one in told):
                stage("data set and network")
            if here == wanted and told[-1]["stage"] != "shards":
                stage("shards")
            super()._on_read(here, wanted)

        def _on_step(self, report: StepReport) -> None:
            done[0] += 1
            stage(f"step {done[0]}")
            super()._on_step(report)

    job.Run = Staged  # type: ignore[attr-defined]
    outcome = job.work(spec, lambda progress: None, lambda: done[0] >= steps)
    stage("ended: " + ", ".join(key for key, value in outcome.items() if value))
    yield from told


if __name__ == "__main__":
    Path(json.loads(sys.argv[1])["scratch"]).mkdir(parents=True, exist_ok=True)
    for found in stages(json.loads(sys.argv[1]), int(os.environ.get("STEPS", "2"))):
        print(json.dumps(found), flush=True)
