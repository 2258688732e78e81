"""A folder of 20,000 PNG of 30 KB through `menagerie dedup scan`, beside its peers on the same files.

Peers run from another interpreter, whose path is in BENCH_PEERS (it needs czkawka and imagededup):
they are no dependencies of this project. The floor only reads and decodes, on as many processes.

BENCH_IMAGES and BENCH_RUNS set the size; BENCH_FOLDER takes the pictures of a folder of yours.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import encoded, photos

IMAGES = int(os.environ.get("BENCH_IMAGES", "20000"))
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
PEERS = os.environ.get("BENCH_PEERS")
WORKERS = len(os.sched_getaffinity(0))
SIDE_PX = 140
SCENE_PX, SHARP_PX = 4_000, 3_000
"""As from a camera, a little softer than its pixels are fine: so a picture takes 30 KB."""
COPY_EVERY, SMALLER_PX = 20, 12
"""Every so many pictures one is a smaller copy of the one before."""

CZKAWKA = """
import sys
from czkawka import ImageSimilarity
finder = ImageSimilarity()
finder.set_directories([sys.argv[1]])
finder.set_similarity(10)
print(sum(len(group) - 1 for group in finder.find_similar()))
"""
IMAGEDEDUP_ENCODE = """
import sys
from imagededup.methods import PHash
if __name__ == "__main__":
    print(len(PHash(verbose=False).encode_images(sys.argv[1], num_enc_workers=int(sys.argv[2]), recursive=True)))
"""
IMAGEDEDUP = """
import sys
from imagededup.methods import PHash
if __name__ == "__main__":
    workers = int(sys.argv[2])
    found = PHash(verbose=False).find_duplicates(
        sys.argv[1], max_distance_threshold=10, recursive=True, num_enc_workers=workers, num_dist_workers=workers
    )
    print(sum(map(len, found.values())) // 2)
"""


def pictures() -> Iterator[tuple[str, bytes]]:
    """Windows on a wide scene with the spectrum of photographs and copies of some."""
    chance = np.random.default_rng(0)
    scene = next(photos(SHARP_PX, SHARP_PX, 1)).resize((SCENE_PX, SCENE_PX), Image.Resampling.BICUBIC)
    picture = Image.new("RGB", (SIDE_PX, SIDE_PX))
    for number in range(IMAGES):
        name = f"{number // 1000:02d}/{number:06d}.png"
        if number % COPY_EVERY == 1:
            smaller = (SIDE_PX - SMALLER_PX, SIDE_PX - SMALLER_PX)
            yield name, encoded(picture.resize(smaller, Image.Resampling.LANCZOS))
            continue
        top, left = chance.integers(0, SCENE_PX - SIDE_PX, 2).tolist()
        picture = scene.crop((left, top, left + SIDE_PX, top + SIDE_PX))
        yield name, encoded(picture)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    given = os.environ.get("BENCH_FOLDER")
    if given:
        yield Path(given)
        return
    made = tmp_path_factory.mktemp("pictures")
    for name, content in pictures():
        path = made / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    yield made
    shutil.rmtree(made)


def scan(folder: Path, *options: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "services.ops.cli", "dedup", "scan", str(folder), "--json"]
    done = subprocess.run([*command, *map(str, options)], capture_output=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def peer(program: str, folder: Path) -> str:
    assert PEERS is not None
    done = subprocess.run(
        [PEERS, "-c", program, str(folder), str(WORKERS)], capture_output=True, text=True, check=True
    )
    return done.stdout.split()[-1]


def read_and_decode(path: str) -> int:
    with open(path, "rb") as file:  # noqa: PTH123 - the quickest way
        return int(imagecodecs.png_decode(file.read()).size)


def floor(folder: Path) -> str:
    paths = sorted(map(str, folder.rglob("*.png")))
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        return str(sum(size > 0 for size in pool.imap_unordered(read_and_decode, paths, 256)))


def measured(ways: dict[str, Callable[[], str]]) -> dict[str, tuple[float, float, str]]:
    """Least and median seconds, and what was found; the ways in turn, so that a busy moment meets all."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    said: dict[str, str] = {}
    for _ in range(RUNS):
        for name, work in ways.items():
            started = time.perf_counter()
            said[name] = work()
            seconds[name].append(time.perf_counter() - started)
    return {name: (min(all_), statistics.median(all_), said[name]) for name, all_ in seconds.items()}


def copies(report: dict[str, Any]) -> str:
    counts = report["counts"]
    return (
        f"{counts['exact_copies'] + counts['near_copies']} copies, {counts['review_pairs']} pairs to review"
    )


def test_scan_of_a_folder(folder: Path, tmp_path: Path) -> None:
    scan(folder, "--no-cache")  # compiles where it never ran
    cache = tmp_path / "cache.sqlite"
    scan(folder, "--cache", cache)
    ways: dict[str, Callable[[], str]] = {
        "menagerie dedup scan": lambda: copies(scan(folder, "--no-cache")),
        "menagerie dedup scan --no-turned": lambda: copies(scan(folder, "--no-cache", "--no-turned")),
        "menagerie dedup scan, warm cache": lambda: copies(scan(folder, "--cache", cache)),
        "floor: read and decode (imagecodecs)": lambda: floor(folder),
    }
    if PEERS:
        ways["czkawka, similarity 10"] = lambda: f"{peer(CZKAWKA, folder)} copies"
        ways["imagededup, hashes only"] = lambda: f"{peer(IMAGEDEDUP_ENCODE, folder)} hashes"
        ways["imagededup, distance 10"] = lambda: f"{peer(IMAGEDEDUP, folder)} pairs"
    results = measured(ways)
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / len(files)
    ours = results["menagerie dedup scan"][1]
    print(f"\n{len(files)} files of {size / 1000:.1f} KB on average, {WORKERS} processors, {RUNS} runs each")
    for name, (least, median, said) in results.items():
        print(
            f"{name:40} {median:8.2f} s median {least:8.2f} s least {len(files) / median:8.0f}/s "
            f"{median / ours:6.2f} of ours  {said}"
        )
    if not PEERS:
        print("NO PEERS MEASURED: set BENCH_PEERS to a Python that has czkawka and imagededup")
