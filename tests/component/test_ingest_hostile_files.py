"""Files made to break decoders: each ends accepted or rejected with a reason, and nothing else happens.

What a service may take: its decoder processes as much address space as ``decoder_memory_bytes`` each, the service
itself ``3 * GROUP_BYTES`` beside what it has when idle (originals, their copies on the way, the pictures).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.manifests import Buckets
from contracts.values import ObjectRef, RejectCode
from services.ingest.decoding.pictures import GROUP_BYTES, Pictures
from services.ingest.decoding.pool import Decoder
from services.ingest.domain.picture import Normalised, PictureRules, Rejection
from tests.support.corpora import gdk_pixbuf_images, pillow_images
from tests.support.ingest_house import MemoryStore
from tests.support.mutations import mutated
from tests.support.pictures import RULES, decoded, encoded, noise

MEBIBYTE = 2**20
CHILD_BYTES = 1536 * MEBIBYTE
BATCH = 25
GOOD = encoded(noise(30, 20))


class Pool:
    """The real decoder on a loop of its own, for tests that are not coroutines themselves."""

    def __init__(self, rules: PictureRules) -> None:
        self.rules = rules
        self._runner = asyncio.Runner()
        self._decoder = Decoder(rules, processes=2, memory_bytes=CHILD_BYTES, cpu_s=20, timeout_s=90)
        self.decode([GOOD] * 64)  # starts every process
        self._started = {child.pid for child in self.children()}

    def decode(self, files: Sequence[bytes]) -> list[Normalised | Rejection]:
        return self._runner.run(self._decoder.decode(files))

    def children(self) -> list[psutil.Process]:
        return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]

    def check_each(self, files: Sequence[bytes]) -> list[Normalised | Rejection]:
        """Every file has a result of its own: a picture of the right form, or a reason."""
        results = self.decode(files)
        assert len(results) == len(files)
        for result in results:
            if isinstance(result, Normalised):
                assert decoded(result.png).size == (self.rules.image_size_px,) * 2
                assert max(decoded(result.thumbnail).size) <= self.rules.thumbnail_px
                assert re.fullmatch("[0-9a-f]{64}", result.pixel_sha256)
            else:
                assert result.code not in {RejectCode.DECODER_CRASHED, RejectCode.DECODER_TIMEOUT}, result
                assert 10 < len(result.detail) < 700
                assert result.detail.isprintable()
        return results

    def check_unharmed(self) -> None:
        """The processes that were started still work, and none was larger than it may be."""
        assert [type(result) for result in self.decode([GOOD] * 4)] == [Normalised] * 4
        children = self.children()
        assert {child.pid for child in children} == self._started
        assert all(peak_bytes(child.pid, "VmPeak") <= CHILD_BYTES for child in children)

    def close(self) -> None:
        self._runner.run(self._decoder.close())
        self._runner.close()


@pytest.fixture
def small_pool() -> Iterator[Pool]:
    pool = Pool(RULES)
    yield pool
    pool.close()


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(PictureRules(299, 160, 64_000_000))
    yield pool
    pool.close()


def peak_bytes(pid: int | str = "self", name: str = "VmHWM") -> int:
    """A high-water mark of a process."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def forget_peak() -> int:
    """Resident bytes now; peak_bytes counts from here on."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


MUTATIONS = [("JPEG", 3400), ("PNG", 3300), ("WEBP", 3300),
             ("GIF", 300), ("TIFF", 300), ("BMP", 300), ("AVIF", 300), ("HEIF", 300)]  # fmt: skip


@pytest.mark.parametrize(("image_format", "count"), MUTATIONS)
def test_mutated_files_end_in_a_picture_or_a_reason(small_pool: Pool, image_format: str, count: int) -> None:
    before = forget_peak()
    tried = []

    @settings(
        max_examples=count // BATCH, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.nested_given],
    )  # fmt: skip
    @given(files=st.lists(mutated(image_format), min_size=BATCH, max_size=BATCH))
    def check(files: list[bytes]) -> None:
        tried.append([type(result) for result in small_pool.check_each(files)])

    check()
    assert sum(map(len, tried)) >= count * 0.99
    assert {Normalised, Rejection} == {kind for batch in tried for kind in batch}
    small_pool.check_unharmed()
    assert peak_bytes() - before < 64 * MEBIBYTE


def test_the_service_holds_few_originals_at_once_however_many_are_large() -> None:
    """Twenty originals of 14 MB, of which four and a half fit into a group."""
    files = {f"{number:064x}": number for number in range(20)}
    template = encoded(noise(300, 200).resize((2400, 2000)), "BMP")

    class Shelf(MemoryStore):
        def get(self, ref: ObjectRef) -> bytes:
            return template[:-8] + files[ref.key].to_bytes(8)

    refs = [ObjectRef(bucket=Buckets.INCOMING, key=key, size=len(template), sha256=key) for key in files]
    decoder = Decoder(
        PictureRules(299, 160, 64_000_000), processes=2, memory_bytes=CHILD_BYTES, cpu_s=20, timeout_s=90
    )

    async def make() -> int:
        with ThreadPoolExecutor(8) as threads:
            await decoder.decode([GOOD] * 64)
            before = forget_peak()
            made = await Pictures(Shelf(), threads, decoder, 32 * MEBIBYTE).make(refs)
            await decoder.close()
        assert made.decoded.keys() == made.objects.keys() == files.keys()
        return peak_bytes() - before

    assert len(template) * len(files) > 4 * GROUP_BYTES
    assert asyncio.run(make()) < 3 * GROUP_BYTES


@pytest.mark.integration
@pytest.mark.parametrize("corpus", [pillow_images, gdk_pixbuf_images])
def test_every_file_of_other_projects_tests_ends_in_a_picture_or_a_reason(
    pool: Pool, corpus: Callable[[], list[Path]]
) -> None:
    paths = corpus()
    pictures = 0
    before = forget_peak()
    for start in range(0, len(paths), BATCH):
        results = pool.check_each([path.read_bytes() for path in paths[start : start + BATCH]])
        pictures += sum(isinstance(result, Normalised) for result in results)
    assert pictures > 100
    assert len(paths) - pictures > 50
    pool.check_unharmed()
    assert peak_bytes() - before < 3 * GROUP_BYTES
