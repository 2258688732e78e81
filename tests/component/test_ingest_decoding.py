"""Decoder processes: what a hostile file costs, and what it must not."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import psutil
import pytest
from PIL import Image

from services.ingest.decoding import pool as decoding
from services.ingest.decoding.pool import Decoder
from services.ingest.domain.faults import DecoderBroken
from services.ingest.domain.picture import Normalised, PictureRules, Rejection
from tests.support import hostile_decoder
from tests.support.hostile_decoder import BUG, CRASH, HANG, SPIN
from tests.support.pictures import RULES, bad_input, encoded, noise

GOOD = encoded(noise(30, 20))


def decoder(rules: PictureRules = RULES, *, cpu_s: int = 20, timeout_s: float = 60) -> Decoder:
    return Decoder(rules, processes=2, memory_bytes=1024 * 2**20, cpu_s=cpu_s, timeout_s=timeout_s)


@pytest.fixture
async def real() -> AsyncIterator[Decoder]:
    pool = decoder()
    yield pool
    await pool.close()


@pytest.fixture
async def hostile(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Decoder]:
    """Files named in hostile_decoder end as they say; a hang is noticed after a second."""
    monkeypatch.setattr(decoding, "decode", hostile_decoder.decode)
    pool = decoder(cpu_s=1, timeout_s=1.5)
    # The first call of a process would count its start against the short limit.
    await pool.decode([GOOD])
    yield pool
    await pool.close()


def codes(results: list[Normalised | Rejection]) -> list[str]:
    return [result.code if isinstance(result, Rejection) else "ok" for result in results]


async def test_bad_input_ends_in_its_code_and_no_neighbour_is_lost(real: Decoder) -> None:
    bad = bad_input()
    files = [file for data, _ in bad.values() for file in (data, GOOD)]
    expected = [code for _, wanted in bad.values() for code in (wanted, "ok")]
    assert codes(await real.decode(files)) == expected


async def test_results_come_in_the_order_of_the_files(real: Decoder) -> None:
    sizes = [(20 + n % 7, 20 + n % 5) for n in range(60)]
    results = await real.decode([encoded(noise(*size, seed)) for seed, size in enumerate(sizes)])
    assert [(r.width_px, r.height_px) for r in results if isinstance(r, Normalised)] == sizes
    assert await real.decode([]) == []


async def test_twelve_megapixels_fit_beside_digits(real: Decoder) -> None:
    large = noise(400, 300).resize((4000, 3000), Image.Resampling.NEAREST)
    results = await real.decode(
        [encoded(large, "JPEG"), GOOD, encoded(large.convert("RGBA"), compress_level=1)]
    )
    assert codes(results) == ["too-many-pixels", "ok", "too-many-pixels"]
    roomy = decoder(PictureRules(299, 160, 64_000_000))
    try:
        results = await roomy.decode([encoded(large, "JPEG"), GOOD, encoded(large, compress_level=1)])
    finally:
        await roomy.close()
    assert codes(results) == ["ok"] * 3


async def test_a_picture_beyond_the_memory_limit_is_refused_and_the_process_lives_on() -> None:
    tight = Decoder(
        PictureRules(64, 32, 10**10), processes=1, memory_bytes=512 * 2**20, cpu_s=20, timeout_s=60
    )
    try:
        results = await tight.decode([encoded(Image.new("1", (16_000, 16_000))), GOOD])
    finally:
        await tight.close()
    assert codes(results) == ["decoder-crashed", "ok"]


async def test_a_crash_rejects_its_own_file_only(hostile: Decoder) -> None:
    assert codes(await hostile.decode([GOOD, CRASH, GOOD])) == ["ok", "decoder-crashed", "ok"]
    assert codes(await hostile.decode([GOOD])) == ["ok"]


async def test_a_hang_rejects_its_own_file_only(hostile: Decoder) -> None:
    assert codes(await hostile.decode([GOOD, HANG])) == ["ok", "decoder-timeout"]


async def test_processor_time_is_bounded(hostile: Decoder) -> None:
    hostile._timeout_s = 60  # so that only the processor's clock can end it
    assert codes(await hostile.decode([SPIN, GOOD])) == ["decoder-timeout", "ok"]


async def test_a_mistake_in_the_code_is_no_verdict_on_the_file(hostile: Decoder) -> None:
    with pytest.raises(RuntimeError, match="own code"):
        await hostile.decode([GOOD, BUG])


async def test_processes_that_all_die_judge_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "decode", hostile_decoder.decode_nothing)
    broken = decoder()
    try:
        with pytest.raises(DecoderBroken):
            await broken.decode([GOOD])
    finally:
        await broken.close()


async def test_killed_processes_are_replaced(real: Decoder) -> None:
    await real.decode([GOOD])
    # By name: other tests' servers are children of this process, too.
    children = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
    assert children
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
    assert codes(await real.decode([GOOD] * 40)) == ["ok"] * 40


async def test_several_batches_at_once_share_the_processes(real: Decoder) -> None:
    batches = await asyncio.gather(*(real.decode([GOOD] * 20) for _ in range(4)))
    assert [codes(batch) for batch in batches] == [["ok"] * 20] * 4
