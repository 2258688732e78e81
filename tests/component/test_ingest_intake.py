"""Every upload ends in exactly one outcome, whatever happens on the way."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import BenchmarkAssigned, ImageAccepted, ImageLabelled, ImageRejected, ImageRepeated
from contracts.manifests import Buckets
from contracts.values import LabelKind, RejectCode, Source
from services.ingest.store.tables import upload
from services.runtime.objectstore import ObjectMissing
from tests.support.ingest_house import House, InlineDecoder, MemoryStore
from tests.support.ingest_stories import (
    FILES,
    Shipment,
    announce,
    check_exactly_one_outcome,
    deliver_at_random,
    two_replicas_take_the_same_uploads,
)
from tests.support.pictures import HOSTILE_NAMES, encoded, noise

KEY = re.compile(r"((normalised/)?[0-9a-f]{64}(\.png)?|thumbnails/[0-9a-f]{64}\.webp)")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")
    yield made
    made.close()


COMMITS = st.frozensets(st.integers(1, 8), max_size=5)
SHIPMENTS = st.builds(
    Shipment,
    uploads=st.lists(
        st.tuples(st.sampled_from(sorted(FILES)), st.sampled_from([None, "otter", "Unknown Bird"])),
        min_size=1, max_size=8,
    ),
    seed=st.integers(0, 2**16), crashes_before=COMMITS, crashes_after=COMMITS,
)  # fmt: skip


@settings(max_examples=30)
@given(shipment=SHIPMENTS)
def test_redelivery_reordering_and_crashes_change_no_count(shipment: Shipment) -> None:
    async def story(folder: Path) -> None:
        house = House(f"sqlite:///{folder}/ingest.sqlite", folder)
        try:
            messages = announce(house, shipment)
            await deliver_at_random(house, messages, shipment)
            await check_exactly_one_outcome(house, messages, shipment)
        finally:
            house.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story(Path(folder)))


async def test_two_replicas_agree(house: House, tmp_path: Path) -> None:
    other = House(f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "other", house.store)
    try:
        await two_replicas_take_the_same_uploads(house, other)
    finally:
        other.close()


async def test_an_accepted_image_carries_all_that_was_said_of_it(house: House) -> None:
    taken_at = datetime(2026, 5, 1, 9, tzinfo=timezone(timedelta(hours=2)))
    data = encoded(noise(40, 20))
    await house.take(
        house.put(
            "upload-0001", data, label="bonobo", source=Source.STAGED, guest="g7", taken_at=taken_at,
            benchmark="difficult", uploaded_by="ann",
        )
    )  # fmt: skip
    accepted, labelled, joined = await house.said()
    assert isinstance(accepted, ImageAccepted)
    assert isinstance(labelled, ImageLabelled)
    assert isinstance(joined, BenchmarkAssigned)
    assert (joined.revision, joined.benchmark, joined.by) == (1, "difficult", "ann")
    assert (accepted.source, accepted.guest, accepted.taken_at, accepted.benchmark) == (
        Source.STAGED, "g7", taken_at, "difficult",
    )  # fmt: skip
    assert (accepted.width_px, accepted.height_px, accepted.image_format) == (40, 20, "PNG")
    assert (accepted.content.top, accepted.content.height) == (16, 32)
    for ref in (accepted.normalised, accepted.thumbnail):
        assert ref.bucket == Buckets.LIBRARY
        assert ref.sha256 in ref.key
        assert house.store.get(ref)
    assert (labelled.label, labelled.kind, labelled.by) == ("bonobo", LabelKind.CLASS, "ann")
    [row] = await house.rows()
    assert row["taken_at"].replace(tzinfo=UTC) == taken_at


async def test_the_same_bytes_twice_in_one_batch_are_one_image_and_one_repeat(house: House) -> None:
    data = encoded(noise(20, 20))
    await house.take(house.put("upload-0002", data), house.put("upload-0001", data))
    accepted, repeated = await house.said()
    assert isinstance(accepted, ImageAccepted)
    assert isinstance(repeated, ImageRepeated)
    assert (accepted.upload_id, repeated.upload_id) == ("upload-0001", "upload-0002")
    assert (repeated.image_id, repeated.same) == (accepted.image_id, "bytes")


async def test_known_bytes_are_neither_fetched_nor_decoded_again(house: House) -> None:
    data = encoded(noise(20, 20))
    await house.take(house.put("upload-0001", data))
    assert isinstance(house.store, MemoryStore)
    assert isinstance(house.decoder, InlineDecoder)
    again = house.put("upload-0002", data)
    house.store.objects.clear()
    await house.take(again)
    assert house.decoder.decoded == 1
    assert await house.told() == {"image.accepted": 1, "image.repeated": 1}


async def test_a_repeats_label_goes_to_an_image_that_has_none(house: House) -> None:
    await house.take(house.put("upload-0001", FILES["a.png"][0]))
    await house.take(house.put("upload-0002", FILES["a.bmp"][0], label="Random Plant"))
    await house.take(house.put("upload-0003", FILES["a.png"][0], label="otter"))
    [row] = await house.rows()
    assert (row["label"], row["label_kind"], row["label_revision"]) == ("Random Plant", "unknown", 1)
    assert (await house.told())["image.labelled"] == 1


async def test_an_announced_object_that_is_missing_is_a_fault_and_settles_nothing(house: House) -> None:
    good, lost = house.put("upload-0001", FILES["a.png"][0]), house.put("upload-0002", FILES["b.png"][0])
    assert isinstance(house.store, MemoryStore)
    data = house.store.objects.pop((lost.object.bucket, lost.object.key))
    with pytest.raises(ObjectMissing):
        await house.take(good, lost)
    assert await house.said() == []
    await house.take(good)
    house.store.objects[lost.object.bucket, lost.object.key] = data
    await house.take(lost)
    assert await house.told() == {"image.accepted": 2}


async def test_what_its_size_condemns_is_not_read(house: House) -> None:
    large = house.put("upload-0001", b"x")
    limit = house.settings.max_file_bytes
    large = large.model_copy(update={"object": large.object.model_copy(update={"size": limit + 1})})
    await house.take(large, house.put("upload-0002", b""))
    codes = {m.upload_id: m.code for m in await house.said() if isinstance(m, ImageRejected)}
    assert codes == {"upload-0001": RejectCode.TOO_LARGE, "upload-0002": RejectCode.EMPTY}
    assert isinstance(house.decoder, InlineDecoder)
    assert house.decoder.decoded == 0


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
async def test_a_hostile_name_or_label_is_kept_as_text_and_leads_nowhere(house: House, name: str) -> None:
    label = name[:200].strip() or "none"
    good = house.put(
        "upload-0001", encoded(noise(9, 9)), file_name=name, label=label, guest=label, uploaded_by=label
    )
    await house.take(good, house.put("upload-0002", b"text", file_name=name))
    assert await house.told() == {"image.accepted": 1, "image.labelled": 1, "image.rejected": 1}
    kept = name.replace("\0", "\N{REPLACEMENT CHARACTER}")
    assert {row["file_name"] for row in await house.rows(upload)} == {kept}
    assert isinstance(house.store, MemoryStore)
    assert all(KEY.fullmatch(key) for _, key in house.store.objects)


async def test_pictures_are_durable_before_their_upload_is_settled(house: House) -> None:
    await house.take(house.put("upload-0001", encoded(noise(9, 9))))
    assert isinstance(house.store, MemoryStore)
    assert house.store.log == ["put incoming", "put library", "put library", "sync"]


async def test_originals_are_held_in_memory_a_group_at_a_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.ingest.decoding.pictures.GROUP_BYTES", 2000)
    uploads = [house.put(f"upload-{n:04d}", encoded(noise(20, 20, n))) for n in range(6)]
    await house.take(*uploads)
    assert await house.told() == {"image.accepted": 6}
