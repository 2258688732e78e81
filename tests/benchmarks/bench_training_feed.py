"""How much of an epoch is feeding: beside steps on one batch, beside tf.data, beside decoding alone.

BENCH_NETWORKS names the networks as NAME@PIXELS*IMAGES*BATCH, a comma between.
"""

from __future__ import annotations

import io
import os
import statistics
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contracts.training import TrainOptions
from contracts.values import Side
from services.networks.build import build
from services.trainer.fitting.compiling import Trained
from services.trainer.fitting.feeding import Examples, Feed, FeedingLimits, open_sides
from services.trainer.fitting.feeding.decoding import decode_into
from tests.support.fed_shards import FedShards
from tests.support.servers import S3Server

NETWORKS = os.environ.get(
    "BENCH_NETWORKS", "small_cnn@64*2000*50,efficientnet_lite0@299*96*16,inception_v4@299*32*8"
).split(",")
FED = {64: 1500, 299: 120}
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
GPU_IMAGES_PER_S, GPU_CORES = 2500, 16
"""What the research asks for (an Inception-v4 step of one data centre GPU), and the cores beside it."""
PLAIN = TrainOptions(flip=False, rotate_degrees=0, zoom_share=0, shift_share=0)


@dataclass
class PhotoShards(FedShards):
    """Pictures as large in bytes as photos (130 kB of 299 px, 7 kB of 64 px), as ingest writes them."""

    def drawn(self) -> NDArray[np.uint8]:
        random = np.random.default_rng(self.seed)
        size = self.size_px
        grain = 2.3
        out = np.empty((self.images, size, size, 3), np.uint8)
        for image in out:
            coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            smooth = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.int16)
            image[:] = np.clip(smooth + random.normal(0, grain, image.shape), 0, 255)
        return out

    def encoded(self, pixels: NDArray[np.uint8]) -> bytes:
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
        return held.getvalue()


@contextmanager
def trained_on(
    weed: S3Server, folder: Path, images: int, size_px: int, kept: bool
) -> Iterator[tuple[PhotoShards, Examples]]:
    made = PhotoShards(weed.store(), f"bench/{size_px}-{images}", images * 10 // 9 + 10, size_px)
    bound = 2 * 2**30 if kept else 0
    limits = FeedingLimits(decoded_memory_bytes=bound, decoded_cache_bytes=bound)
    with open_sides(weed.store(), made.rows, size_px, folder, limits) as sides:
        yield made, sides[Side.TRAIN]


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the wall clock and of this process's cores."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


def medians(variants: Mapping[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """Of RUNS; the variants take turns, so that a busy machine is busy for all of them."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for _ in range(RUNS):
        for name, work in variants.items():
            taken[name].append(timed(work))
    return {
        name: (statistics.median(wall for wall, _ in times), statistics.median(used for _, used in times))
        for name, times in taken.items()
    }


@pytest.mark.parametrize("asked", NETWORKS)
def test_a_whole_epoch_beside_its_steps_alone(asked: str, weed: S3Server, tmp_path: Path) -> None:
    network, numbers = asked.split("@")
    size_px, images, batch = map(int, numbers.split("*"))
    options = TrainOptions(batch_size=batch, deterministic=False)
    model = build(network, size_px, 10)
    trained = Trained(model.inputs, model.outputs)
    trained.compile_for(options, head_alone=False)
    trained.start_epoch()
    waits: dict[str, list[float]] = {"decoding": [], "kept": []}

    def steps(fixed: Any) -> None:
        for _ in range(images // batch):
            trained.take_step(*fixed, None)
        float(trained.running[0].result())  # waits for the device

    def epoch(name: str, examples: Examples) -> None:
        feed = Feed(examples, options, 1, batch)
        started, taken = time.perf_counter(), 0
        for one in feed:
            if taken < images // batch:
                trained.take_step(one.images, one.classes, None)
                taken += 1
        float(trained.running[0].result())
        waits[name].append(feed.waited_s / (time.perf_counter() - started))

    with (
        trained_on(weed, tmp_path / "a", images, size_px, kept=False) as (_, decoding),
        trained_on(weed, tmp_path / "b", images, size_px, kept=True) as (_, kept),
    ):
        chosen = np.arange(batch)
        fixed = (kept.pixels(chosen), kept.classes[chosen])
        steps(fixed)  # traces
        kept.pixels(np.arange(len(kept)))  # the first epoch's decoding
        found = medians({
            "steps on one batch": lambda: steps(fixed),
            "epoch, decoded kept": lambda: epoch("kept", kept),
            "epoch, decoding all": lambda: epoch("decoding", decoding),
        })  # fmt: skip
    floor_s, floor_used = found["steps on one batch"]
    print(f"\n{network}, {size_px} px, {images} images in batches of {batch}; medians of {RUNS} turns")
    print(f"{'':24} wall s  x steps  core s  x steps  images/core s")
    for name, (wall, used) in found.items():
        print(
            f"{name:24} {wall:6.1f} {wall / floor_s:8.3f} {used:7.1f} {used / floor_used:8.3f} {images / used:9.1f}"
        )
    for name, shares in waits.items():
        print(f"waited for data, {name}: {statistics.median(shares):.4f} of the epoch")


@pytest.mark.parametrize("size_px", [64, 299])
def test_the_feed_alone_beside_tf_data_and_decoding_alone(
    size_px: int, weed: S3Server, tmp_path: Path
) -> None:
    import tensorflow as tf

    images = FED[size_px]
    with (
        trained_on(weed, tmp_path / "a", images, size_px, kept=False) as (made, decoding),
        trained_on(weed, tmp_path / "b", images, size_px, kept=True) as (_, kept),
    ):
        rows = [row for row in made.rows if row.side is Side.TRAIN][:images]
        (tmp_path / "files").mkdir()
        shard = {row.shard: weed.store().read_range("snapshots", row.shard, 0, 10**10) for row in rows}
        pngs = [shard[row.shard][row.offset : row.offset + row.size] for row in rows]
        paths = []
        for number, png in enumerate(pngs):
            paths.append(str(tmp_path / "files" / f"{number}.png"))
            Path(paths[-1]).write_bytes(png)
        out = np.empty((size_px, size_px, 3), np.uint8)
        kept.pixels(np.arange(len(kept)))

        def decoded() -> None:
            for png in pngs:
                decode_into(png, out, "")

        def pillow() -> None:
            for png in pngs:
                with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
                    np.asarray(picture.convert("RGB"))

        def tf_data() -> None:
            data = tf.data.Dataset.from_tensor_slices(paths).shuffle(images)
            data = data.map(
                lambda path: tf.io.decode_png(tf.io.read_file(path), 3), num_parallel_calls=tf.data.AUTOTUNE
            )
            for _ in data.batch(50, drop_remainder=True).prefetch(tf.data.AUTOTUNE):
                pass

        def fed(examples: Examples, options: TrainOptions) -> None:
            for _ in Feed(examples, options, 1, 50):
                pass

        variants = {
            "floor: decoding alone": decoded,
            "Pillow, decoding alone": pillow,
            "tf.data: files, decode, batch": tf_data,
            "feed: shards, verify, decode, batch": lambda: fed(decoding, PLAIN),
            "the same, augmented": lambda: fed(decoding, TrainOptions()),
            "feed: kept pixels, batch": lambda: fed(kept, PLAIN),
            "kept pixels, augmented": lambda: fed(kept, TrainOptions()),
        }
        tf_data()
        found = medians(variants)
    size = sum(map(len, pngs)) / len(pngs) / 1000
    print(f"\n{size_px} px, {images} images of {size:.0f} kB; medians of {RUNS} turns")
    print(f"{'':36} images/wall s  images/core s  cores for {GPU_IMAGES_PER_S}/s")
    for name, (wall, used) in found.items():
        print(
            f"{name:36} {images / wall:13.0f} {images / used:14.0f} {GPU_IMAGES_PER_S * used / images:12.1f}"
        )
    print(f"a GPU at {GPU_IMAGES_PER_S} images/s has {GPU_CORES} cores beside it")
