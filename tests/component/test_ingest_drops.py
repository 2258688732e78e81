"""Bucket drop: what its notifications and its listing make of the objects in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.events import ImageRejected
from contracts.manifests import Buckets
from contracts.values import LabelKind, RejectCode, Source
from services.ingest.reception.recurring import Recurring
from services.runtime.envelope import MalformedMessage, decode
from services.runtime.logs import get_log
from services.runtime.objectstore import StoredObject
from tests.support.ingest_drops import SUBJECT, DropHouse, heard
from tests.support.ingest_house import AT
from tests.support.ingest_ways import keys_of, notification, notified
from tests.support.pictures import HOSTILE_NAMES, encoded, noise
from tests.support.probe import until


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DropHouse]:
    made = DropHouse(tmp_path)
    yield made
    made.close()


async def test_an_object_that_is_told_is_copied_and_announced(house: DropHouse) -> None:
    data = encoded(noise(9, 9))
    house.store.drop(
        "zoo/2026 05/a+b.png", data, label="flamingo%2Fjuvenile", label_kind="unknown", source="staged", guest="g",
        visit="v", taken_at="2026-05-01T09:00:00Z", tags="night,rain%2C heavy", upstream_id="z-7",
        benchmark="difficult", uploaded_by="Zo%C3%AB",
    )  # fmt: skip
    await house.hear(heard(notification("zoo/2026 05/a+b.png")))
    [message] = await house.announced()
    assert (message.file_name, message.uploaded_at) == ("zoo/2026 05/a+b.png", AT)
    assert (message.label, message.label_kind) == ("flamingo/juvenile", LabelKind.UNKNOWN)
    assert (message.source, message.guest, message.visit) == (Source.STAGED, "g", "v")
    assert (message.tags, message.upstream_id) == (("night", "rain, heavy"), "z-7")
    assert (message.benchmark, message.uploaded_by) == ("difficult", "Zoë")
    assert message.taken_at == datetime(2026, 5, 1, 9, tzinfo=UTC)
    assert (message.object.bucket, message.object.key) == (Buckets.INCOMING, message.object.sha256)
    assert house.store.get(message.object) == data
    house.store.objects.pop((Buckets.DROP, "zoo/2026 05/a+b.png"))  # nobody needs it any more
    await house.take(message)
    assert (await house.told())["image.accepted"] == 1


async def test_told_again_and_found_again_it_is_the_same_upload(house: DropHouse) -> None:
    house.store.drop("a.png", b"x", AT + timedelta(milliseconds=700))
    await house.hear(notified("a.png", "a.png"), notified("a.png"))
    await house.hear(notified("a.png"))
    house.store.changed[Buckets.DROP, "a.png"] = AT  # as a HEAD tells it: in whole seconds
    await house.drops.reconcile()
    assert len(await house.announced()) == 1
    assert house.store.log.count("read drop") == 1


async def test_a_replaced_object_is_another_upload(house: DropHouse) -> None:
    house.store.drop("a.png", b"one")
    await house.hear(notified("a.png"))
    house.store.drop("a.png", b"two")  # within the same second
    await house.hear(notified("a.png"))
    house.store.drop("a.png", b"two", AT + timedelta(seconds=1))
    await house.drops.reconcile()
    told = await house.announced()
    assert len({message.upload_id for message in told}) == len(told) == 3
    assert sorted(message.upload_id for message in told)[2] == told[2].upload_id  # ids sort by time


async def test_reconciling_takes_in_what_was_never_told(house: DropHouse) -> None:
    for n in range(70):
        house.store.drop(f"{n:02d}.png", b"%d" % n)
    await house.hear(notified("07.png"))
    await asyncio.gather(house.drops.reconcile(), house.drops.reconcile())
    assert sorted(m.file_name for m in await house.announced()) == [f"{n:02d}.png" for n in range(70)]
    assert house.left_on_disk() == []


async def test_two_replicas_take_in_each_object_once(house: DropHouse, tmp_path: Path) -> None:
    other = DropHouse(tmp_path, house.store)
    other.settings = other.settings.model_copy(update={"work_dir": tmp_path / "other"})
    try:
        for n in range(40):
            house.store.drop(f"{n:02d}.png", b"%d" % n)
        keys = [f"{n:02d}.png" for n in range(40)]
        await asyncio.gather(
            house.drops.reconcile(), other.drops.reconcile(), other.hear(notified(*keys[::-1]))
        )
    finally:
        other.close()
    assert len(await house.announced()) == 40


CREATED = [
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "ObjectCreated:Post",
]
OTHER = [
    "s3:ObjectRemoved:Delete",
    "s3:ObjectAccessed:Head",
    "s3:ObjectCreatedish",
    "s3:BucketCreated:*",
    "",
    "\N{LION FACE}",
]


@pytest.mark.parametrize("event", CREATED + OTHER)
async def test_only_what_was_created_is_taken_in(house: DropHouse, event: str) -> None:
    house.store.drop("a.png", b"x")
    await house.hear(heard(notification("a.png", event=event)))
    assert len(await house.announced()) == (event in CREATED)


async def test_other_buckets_folders_and_objects_that_are_gone_are_nothing_to_do(house: DropHouse) -> None:
    house.store.put(Buckets.LIBRARY, "a.png", b"x")
    house.store.drop("folder/", b"")
    await house.hear(notified("a.png", bucket=Buckets.LIBRARY), notified("folder/", "gone.png"), notified())
    assert await house.said() == []


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"{}", b'{"Records":null}', b'{"Records":[{}]}', b'{"Service":"Amazon S3","Event":"s3:TestEvent"}',
        b'{"Records":[{"eventName":"s3:ObjectCreated:Put","s3":{"bucket":{"name":"drop"},"object":{"key":"\\ud800"}}}]}',
    ],
)  # fmt: skip
def test_what_is_no_notification_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessage, match=r"bucket\.notified"):
        decode(SUBJECT, body)


KEYS = [
    *HOSTILE_NAMES, "../incoming/secret", "a/../../b", "./a", "http://169.254.169.254/latest", "file:///etc/passwd",
    "%2e%2e%2fetc", "a?versionId=1#x", "//etc/passwd", "a" * 1500, "\x7f\x01", "arn:aws:s3:::library/x",
]  # fmt: skip


@pytest.mark.parametrize("key", [key for key in KEYS if key], ids=range(len(KEYS) - 1))
async def test_a_hostile_key_is_text_and_leads_nowhere_else(house: DropHouse, key: str) -> None:
    house.store.drop(key, b"x")
    await house.hear(heard(notification(key)))
    [message] = await house.announced()
    assert message.file_name == key[:1024].replace("\0", "\N{REPLACEMENT CHARACTER}")
    assert keys_of(house.store, Buckets.INCOMING) == [message.object.sha256]


async def test_ten_thousand_records_in_one_message_are_taken_in(house: DropHouse) -> None:
    body = {"Records": [
        {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "drop"}, "object": {"key": f"{n:05d}"}}}
        for n in range(10_000)
    ]}  # fmt: skip
    assert len(json.dumps(body, separators=(",", ":"))) < 1_048_576  # what the broker lets through
    for n in (0, 4_999, 9_999):
        house.store.drop(f"{n:05d}", b"%d" % n)
    await house.hear(heard(body))
    assert [message.file_name for message in await house.announced()] == ["00000", "04999", "09999"]


async def test_a_large_object_is_rejected_unread(house: DropHouse) -> None:
    house.store.drop("a" * 950, b"x", label="otter")
    house.store.large[Buckets.DROP, "a" * 950] = 5 * 2**40
    house.store.drop("fine.png", b"y")
    await house.hear(notified("a" * 950, "fine.png"))
    await house.drops.reconcile()
    assert house.store.log.count("read drop") == 1
    large = next(m for m in await house.announced() if m.object.bucket == Buckets.DROP)
    assert (large.object.size, large.label) == (5 * 2**40, "otter")
    await house.take(large)
    [rejected] = [m for m in await house.said() if isinstance(m, ImageRejected)]
    assert (rejected.code, rejected.upload_id) == (RejectCode.TOO_LARGE, large.upload_id)


async def test_one_object_that_cannot_be_read_keeps_no_neighbour_out(
    house: DropHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(40):
        house.store.drop(f"{n:02d}", b"%d" % n)
    stream = house.store.stream

    def failing(bucket: str, key: str, etag: str | None = None) -> Iterator[bytes]:
        if key == "07":
            raise ConnectionError("the disk under it is broken")
        return stream(bucket, key, etag)

    monkeypatch.setattr(house.store, "stream", failing)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await house.drops.reconcile()
        assert len(await house.announced()) == 39
    monkeypatch.undo()
    await house.drops.reconcile()
    assert len(await house.announced()) == 40


async def test_a_store_that_is_away_is_asked_once_a_group_and_not_ten_thousand_times(
    house: DropHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def away(bucket: str, key: str) -> StoredObject:
        asked.append(key)
        raise ConnectionError("no route to store")

    monkeypatch.setattr(house.store, "stat", away)
    with pytest.raises(ConnectionError):
        await house.hear(notified(*(f"{n:05d}" for n in range(1000))))
    assert len(asked) <= 64


async def test_an_object_replaced_while_it_is_read_is_read_again(
    house: DropHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.store.drop("a.png", b"one")
    stat = house.store.stat

    def stat_then_replace(bucket: str, key: str) -> StoredObject:
        told = stat(bucket, key)
        monkeypatch.undo()
        house.store.drop("a.png", b"two")
        return told

    monkeypatch.setattr(house.store, "stat", stat_then_replace)
    with pytest.raises(Exception, match="replaced"):
        await house.hear(notified("a.png"))
    assert await house.said() == []
    await house.hear(notified("a.png"))
    [message] = await house.announced()
    assert house.store.get(message.object) == b"two"


async def test_a_drop_told_while_the_store_lacks_it_is_found_later(house: DropHouse) -> None:
    await house.hear(notified("a.png"))
    house.store.drop("a.png", b"x")
    recurring = Recurring("test", 0.001, house.drops.reconcile, get_log("test"))
    await recurring.start()

    async def taken() -> bool:
        return bool(await house.announced())

    await until(taken)
    await recurring.stop()
