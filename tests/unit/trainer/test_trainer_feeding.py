"""Order, threads and bounds of the feed, and what is made of a PNG."""

from __future__ import annotations

import errno
import io
import os
import shutil
import threading
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contracts.training import TrainOptions
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting.augmentation import Augmentation
from services.trainer.fitting.feeding import Batch, Feed, FeedingLimits, InMemory, Part, in_order
from services.trainer.fitting.feeding import feed as feed_module
from services.trainer.fitting.feeding.decoded import Decoded, InArray, InFile, decoded_of
from services.trainer.fitting.feeding.decoding import decode_into

SIZE_PX = 12
OPTIONS = TrainOptions(seed=5, shift_share=0.1)


def noise(count: int, seed: int = 0) -> InMemory:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    return InMemory(images, np.arange(count, dtype=np.int64))


class Watched:
    """Examples that note what is asked of them; asking for ``broken`` fails."""

    def __init__(self, examples: InMemory, broken: int = -1) -> None:
        self.classes = examples.classes
        self.asked: list[list[int]] = []
        self._examples, self._broken = examples, broken

    def __len__(self) -> int:
        return len(self._examples)

    def pixels(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        if len(chosen):
            self.asked.append(chosen.tolist())
        if self._broken in chosen:
            raise TrainingError("image 7 is none", "mend it")
        return self._examples.pixels(chosen)


def feeding_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("feed")]


@pytest.mark.parametrize("workers", [1, 3, 40])
def test_order_and_augmentation_depend_on_seed_epoch_and_step_alone(workers: int) -> None:
    examples = noise(33)
    fed = list(Feed(examples, OPTIONS, epoch=2, batch=5, workers=workers))
    assert [batch.step for batch in fed] == list(range(6))  # 3 are left to another epoch
    order = np.random.default_rng([5, 2]).permutation(33)
    change = Augmentation(OPTIONS.flip, OPTIONS.rotate_degrees, OPTIONS.zoom_share, OPTIONS.shift_share)
    for batch in fed:
        chosen = order[batch.step * 5 : batch.step * 5 + 5]
        own = np.random.default_rng([5, 2, batch.step])
        np.testing.assert_array_equal(batch.classes, chosen)
        np.testing.assert_array_equal(batch.images, change.apply(examples.images[chosen], own))


def test_a_resumed_epoch_goes_on_with_the_batches_it_would_have_had() -> None:
    def fed(first_step: int, epoch: int = 1, seed: int = -1) -> list[bytes]:
        options = OPTIONS.model_copy(update={"seed": seed})
        return [batch.images.tobytes() for batch in Feed(noise(30), options, epoch, 5, first_step)]

    assert fed(4) == fed(0)[4:]
    assert fed(6) == []
    assert len({fed(0)[0], fed(0, epoch=2)[0], fed(0, seed=8)[0]}) == 3


def test_all_images_once_in_their_order_for_scoring() -> None:
    examples = noise(23)
    parts = list(in_order(examples, 10, workers=2))
    assert [len(part.classes) for part in parts] == [10, 10, 3]
    np.testing.assert_array_equal(np.concatenate([part.images for part in parts]), examples.images)
    np.testing.assert_array_equal(np.concatenate([part.classes for part in parts]), examples.classes)
    assert list(in_order(noise(0), 10)) == []


def test_a_part_has_its_own_numbers() -> None:
    examples = noise(10)
    part = Part(examples, np.array([7, 2, 5]))
    assert len(part) == 3
    assert part.classes.tolist() == [7, 2, 5]
    np.testing.assert_array_equal(part.pixels(np.array([2, 0])), examples.images[[5, 7]])


def test_no_more_is_prepared_than_a_batch_for_each_worker_and_one() -> None:
    examples = Watched(noise(100))
    batches = iter(Feed(examples, OPTIONS, 1, 5, workers=2))
    next(batches)
    assert len(examples.asked) <= 4
    assert len(list(batches)) == 19
    assert feeding_threads() == []


def test_large_batches_are_prepared_by_fewer_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "AHEAD_BYTES", 3 * 5 * SIZE_PX * SIZE_PX * 3)
    examples = Watched(noise(100))
    batches = iter(Feed(examples, OPTIONS, 1, 5, workers=16))
    next(batches)
    assert len(examples.asked) <= 4
    assert len(list(batches)) == 19


def test_leaving_early_ends_the_threads() -> None:
    for batch in Feed(noise(100), OPTIONS, 1, 5, workers=3):
        assert isinstance(batch, Batch)
        assert feeding_threads()
        break
    assert feeding_threads() == []


def test_what_a_thread_raises_comes_in_its_batch_s_turn() -> None:
    order = np.random.default_rng([5, 1]).permutation(50)
    examples = Watched(noise(50), broken=int(order[17]))
    batches = iter(Feed(examples, OPTIONS, 1, 5, workers=3))
    assert [next(batches).step for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TrainingError, match="image 7 is none"):
        next(batches)
    assert feeding_threads() == []


def test_waiting_for_a_batch_is_measured_and_work_on_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1
        return now[0]

    monkeypatch.setattr(feed_module, "time", SimpleNamespace(perf_counter=clock))
    feed = Feed(noise(20), OPTIONS, 1, 5)
    for _ in feed:
        now[0] += 1000
    assert feed.waited_s == 4


def png(mode: str = "RGB", size: tuple[int, int] = (SIZE_PX, SIZE_PX), **how: object) -> bytes:
    random = np.random.default_rng(1)
    held = io.BytesIO()
    picture = Image.fromarray(random.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    picture.convert(mode).save(held, "PNG", **how)
    return held.getvalue()


def decoded(data: bytes) -> NDArray[np.uint8]:
    out = np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8)
    decode_into(data, out, "a1")
    return out


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1"])
def test_every_kind_of_png_gives_the_pixels_that_pillow_sees(mode: str) -> None:
    seen = np.asarray(Image.open(io.BytesIO(png(mode))).convert("RGB"))
    np.testing.assert_array_equal(decoded(png(mode)), seen)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(size=(20, SIZE_PX)), r"image a1 is 20 x 12 px, the snapshot says 12 px; normalise the library"),
        (png()[:-40], r"image a1 does not decode: .*; normalise the library again"),
        (png()[:20], r"image a1 does not decode"),
        (b"no picture", r"image a1 does not decode"),
        (b"", r"image a1 does not decode"),
    ],
)
def test_what_is_no_picture_of_that_size_is_named_with_a_remedy(data: bytes, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        decoded(data)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_that_only_claims_to_be_huge_is_refused_by_its_header(mode: str) -> None:
    bomb = bytearray(png(mode))
    bomb[16:24] = (60_000).to_bytes(4) * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4)
    with pytest.raises(TrainingError, match=r"image a1 is 60000 x 60000 px, the snapshot says 12 px"):
        decoded(bytes(bomb))


def test_sixteen_bits_a_channel_are_refused_and_not_taken_for_white() -> None:
    held = io.BytesIO()
    Image.fromarray(np.full((SIZE_PX, SIZE_PX), 12_000, np.uint16)).save(held, "PNG")
    with pytest.raises(TrainingError, match="image a1 has 16 bits a channel, training takes 8; normalise"):
        decoded(held.getvalue())


def some(kept: Decoded, count: int) -> list[int]:
    """Which of ``count`` images it has, after being given all of them."""
    images = noise(count).images
    out = np.empty((SIZE_PX, SIZE_PX, 3), np.uint8)
    assert not any(kept.read(number, out) for number in range(count))
    for number, image in enumerate(images):
        kept.keep(number, image)
    here = []
    for number, image in enumerate(images):
        if kept.read(number, out):
            np.testing.assert_array_equal(out, image)
            here.append(number)
    return here


def test_decoded_pixels_are_kept_in_memory_when_they_fit_else_as_many_as_may_in_a_file(
    tmp_path: Path,
) -> None:
    each = SIZE_PX * SIZE_PX * 3
    memory = decoded_of(10, SIZE_PX, FeedingLimits(decoded_memory_bytes=10 * each), tmp_path)
    assert isinstance(memory, InArray)
    assert some(memory, 10) == list(range(10))
    limits = FeedingLimits(decoded_memory_bytes=9 * each, decoded_cache_bytes=4 * each + 1)
    file = decoded_of(10, SIZE_PX, limits, tmp_path / "new")
    assert isinstance(file, InFile)
    assert some(file, 10) == [0, 1, 2, 3]
    assert list((tmp_path / "new").iterdir()) == []  # nothing to clean up after kill -9
    file.close()
    nothing = decoded_of(10, SIZE_PX, FeedingLimits(decoded_memory_bytes=0, decoded_cache_bytes=0), tmp_path)
    assert some(nothing, 10) == []
    nothing.close()


def test_a_file_takes_a_share_of_the_free_disk_and_no_more_when_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = SIZE_PX * SIZE_PX * 3
    usage = shutil.disk_usage(tmp_path)
    none = FeedingLimits(decoded_memory_bytes=0)
    with monkeypatch.context() as little:
        little.setattr(shutil, "disk_usage", lambda _: usage._replace(free=6 * each))
        kept = decoded_of(10, SIZE_PX, none, tmp_path)
        assert some(kept, 10) == [0, 1, 2]
        kept.close()
    kept, real, left = decoded_of(10, SIZE_PX, none, tmp_path), os.pwrite, [2]

    def two(file: int, data: memoryview, offset: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "full")
        return real(file, data, offset)

    monkeypatch.setattr(os, "pwrite", two)
    assert some(kept, 10) == [0, 1]
    kept.close()
