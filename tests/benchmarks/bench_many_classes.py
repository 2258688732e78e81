"""A run on 1,500 classes of 125 images of 299 px: data set, shards, two steps; seconds and peak memory.

BENCH_NETWORKS names the networks as NAME*BATCH, a comma between. The pictures are stripes of 1 kB: real to
the decoder and to the memory, kind to the disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from contracts.training import DatasetRules, TrainOptions
from services.trainer.domain.specs import TrainSpec
from tests.support.many_classes import pack
from tests.support.servers import S3Server

CLASSES, PER_CLASS = int(os.environ.get("BENCH_CLASSES", "1500")), 125
SIZE_PX, SHARDS = 299, 12
NETWORKS = os.environ.get("BENCH_NETWORKS", "efficientnet_lite0*50,inception_v4*16").split(",")
MEMORY_BYTES = 24 * 2**30


def test_memory_of_a_run_on_many_classes(weed: S3Server, tmp_path: Path) -> None:
    manifest = pack(weed.store(), "many", CLASSES, PER_CLASS, SIZE_PX, SHARDS)
    for asked in NETWORKS:
        network, batch = asked.split("*")
        spec = TrainSpec(
            run_id=f"many-{network.replace('_', '-')}", snapshot=manifest, image_size_px=SIZE_PX, base=None,
            ancestors=(), rules=DatasetRules(), scratch=str(tmp_path / network),
            options=TrainOptions(network=network, batch_size=int(batch), epochs=1, deterministic=False),
        )  # fmt: skip
        env = weed.settings.child_env() | {
            "MENAGERIE_WORK_DIR": str(tmp_path / "work"), "KERAS_BACKEND": "tensorflow",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.many_classes", spec.model_dump_json()],
            env={**os.environ, **env}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        print(f"\n{CLASSES} classes x {PER_CLASS} images of {SIZE_PX} px, {network}, batch {batch}")
        for line in done.stdout.splitlines():
            stage = json.loads(line)
            print(f"{stage['seconds']:8.1f} s  peak {stage['peak_rss'] / 2**30:5.2f} GiB  {stage['stage']}")
        assert stage["stage"] == "ended: stopped"
        assert stage["peak_rss"] < MEMORY_BYTES
