"""Images a second of the evaluator's scoring, beside the bare model on the same cores.

Three ways take turns over the same pictures: the model alone on pixels that lie in memory, the model on PNG
bytes that lie in memory (decoding in its graph), and scoring as the evaluator does it: PNG files out of shards
in the object store, verified, scores in the matrix on disk with its journal. CPU seconds are told beside those
of the clock, for they say the same on a busy machine.

BENCH_IMAGES says how many pictures, BENCH_NETWORK which network, BENCH_RUNS how often each has its turn.
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contracts.events import ModelTrained
from services.evaluator.domain.taxonomy import unfolded
from services.evaluator.scoring.matrix import ScoreMatrix
from services.evaluator.scoring.running import fill
from services.evaluator.scoring.scenes import Scene
from services.runtime.objectstore import ObjectStore
from tests.support.colour_library import NOW
from tests.support.servers import S3Server

IMAGES = int(os.environ.get("BENCH_IMAGES", "600"))
NETWORK = os.environ.get("BENCH_NETWORK", "efficientnet_lite0")
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
SIDE, CLASSES, SHARDS, PICTURES = 299, 1000, 3, 40
"""Pictures that differ; they come again and again."""


def pngs() -> list[bytes]:
    """Pictures of about 130 kB, as photos of this size are."""
    chance, made = np.random.default_rng(5), []
    for _ in range(PICTURES):
        coarse = Image.fromarray(chance.integers(0, 256, (24, 24, 3), np.uint8)).resize(
            (SIDE, SIDE), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(coarse, np.int16) + chance.integers(-3, 4, (SIDE, SIDE, 3))
        held = io.BytesIO()
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(held, "png")
        made.append(held.getvalue())
    return [made[number % PICTURES] for number in range(IMAGES)]


def packed(store: ObjectStore, pictures: list[bytes]) -> Scene:
    """The pictures in shards, as scoring finds them."""
    rows: list[dict[str, Any]] = []
    for shard in range(SHARDS):
        key, held = f"bench-scoring/{shard}.tar", io.BytesIO()
        for number in range(shard, IMAGES, SHARDS):
            place, data = held.tell(), pictures[number]
            held.write(data)
            rows.append({
                "image_id": hashlib.sha256(f"{number}".encode()).hexdigest(), "shard": key, "offset": place,
                "size": len(data), "sha256": hashlib.sha256(data).hexdigest(),
            })  # fmt: skip
        store.put("snapshots", key, held.getvalue())
    nothing = {"bucket": "models", "key": "none", "size": 0, "sha256": "0" * 64}
    model = ModelTrained.model_validate({
        "run_id": "bench", "model_version": "001", "snapshot_id": "bench", "network": NETWORK,
        "image_size_px": SIDE, "classes": [f"{number:04}" for number in range(CLASSES)], "model": nothing,
        "dataset": nothing, "history": nothing, "epochs": 1, "best_epoch": 1, "trained_at": NOW,
        "images": {"train": 0, "validation": 0, "test": 0, "benchmark": 0, "out": 0},
    })  # fmt: skip
    rows.sort(key=lambda row: row["image_id"])
    return Scene(model, model.dataset, rows, unfolded(model.classes))


@contextmanager
def measured(into: list[tuple[float, float]]) -> Iterator[None]:
    """CPU and clock seconds of a turn."""
    used, clock = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    yield
    now = resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    into.append((cpu, time.perf_counter() - clock))


def test_scoring_keeps_the_pace_of_the_bare_model(weed: S3Server, tmp_path: Path) -> None:
    import tensorflow as tf

    from services.networks.build import build
    from services.networks.inference import Inference

    model = build(NETWORK, SIDE, CLASSES)
    network, pictures, store = Inference(model, SIDE), pngs(), weed.store()
    scene = packed(store, pictures)
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in pictures[:PICTURES]])
    taken = tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8)
    step = tf.function(
        lambda images: model(tf.cast(images, tf.float32), training=False), input_signature=[taken]
    )

    def bare() -> None:
        for first in range(0, IMAGES, network.batch):
            places = np.arange(first, min(first + network.batch, IMAGES)) % PICTURES
            step(tf.constant(pixels[places])).numpy()

    def from_memory() -> None:
        for _ in network.answers(pictures):
            pass

    def scoring() -> None:
        folder = tmp_path / f"{time.monotonic_ns()}"
        folder.mkdir()
        matrix = ScoreMatrix(folder, {}, scene.order, CLASSES, "float32")
        fill(matrix, network, store, scene, lambda told: None, 3.0)

    ways: dict[str, Callable[[], None]] = {
        "model on pixels": bare,
        "model on PNG": from_memory,
        "scoring": scoring,
    }
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    step(tf.constant(pixels[:2]))
    list(network.answers(pictures[:2]))
    for _ in range(RUNS):
        for name, work in ways.items():
            with measured(turns[name]):
                work()
            print(f"  {name:16} {turns[name][-1][0]:7.1f} CPU-s {turns[name][-1][1]:7.1f} s", flush=True)
    print(f"\n{NETWORK}, {IMAGES} images of {SIDE} px, {len(pictures[0]) // 1000} kB, {RUNS} turns each")
    for name, seconds in turns.items():
        cpu, clock = (statistics.median(column) for column in zip(*seconds, strict=True))
        beside = list(zip(turns["model on pixels"], seconds, strict=True))
        more_cpu, longer = (statistics.median(b[n] / a[n] for a, b in beside) for n in (0, 1))
        print(
            f"  {name:16} {IMAGES / clock:7.2f} images/s  {IMAGES / cpu:7.2f} images/CPU-s  "
            f"{more_cpu:.3f} of the bare model's CPU time, {longer:.3f} of its time"
        )


if __name__ == "__main__":
    pytest.main([__file__, "-s", "-q"])
