"""Similarity vectors by bulkid's real child, with a real object store and a real database."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from contracts.commands import RequestVectors
from contracts.events import VectorsComputed
from contracts.values import ObjectRef
from services.bulkid import store
from services.bulkid.app import create_app
from services.bulkid.handlers import NotYetKnown
from services.bulkid.handlers import vectors as handler
from services.bulkid.settings import BulkidSettings
from services.runtime.delivery import Unprocessable
from services.runtime.envelope import decode
from services.runtime.objectstore import ObjectStore
from tests.support.bulkid_room import Room
from tests.support.colour_library import NOW, ColourLibrary
from tests.support.model_services import model_service_settings
from tests.support.probe import dead_letters, say, until
from tests.support.servers import Broker, Postgres, S3Server

pytestmark = [pytest.mark.integration, pytest.mark.models]


def request_vectors(request_id: str = "vectors-1", **fields: Any) -> RequestVectors:
    return RequestVectors(request_id=request_id, by="ann", requested_at=NOW, **fields)


@pytest.fixture
async def room(weed: S3Server, tmp_path: Path) -> AsyncIterator[Room]:
    url = f"sqlite:///{tmp_path}/bulkid.sqlite"
    settings = BulkidSettings(**model_service_settings("bulkid", weed, url, tmp_path / "work"))
    made = Room(settings, (VectorsComputed, RequestVectors))
    yield made
    made.database.close()


@pytest.fixture
def objects(weed: S3Server) -> ObjectStore:
    """Of the one server that the children read from too."""
    return weed.store()


@pytest.fixture
def library(objects: ObjectStore, request: pytest.FixtureRequest) -> ColourLibrary:
    return ColourLibrary(objects, hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20])


def runs(process: psutil.Process) -> bool:
    """Whether it does; one that nobody has asked for its exit code yet does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def read(objects: ObjectStore, ref: ObjectRef) -> dict[str, NDArray[np.float32]]:
    """Vectors by image, checked against the contract: sorted, each of length 1."""
    table = pq.read_table(io.BytesIO(objects.get(ref)))
    assert [(field.name, str(field.type)[:21]) for field in table.schema] == [
        ("image_id", "string"), ("vector", "fixed_size_list<eleme"),
    ]  # fmt: skip
    image_ids = table["image_id"].to_pylist()
    assert image_ids == sorted(image_ids)
    found = {
        image_id: np.array(vector, np.float32)
        for image_id, vector in zip(image_ids, table["vector"].to_pylist(), strict=True)
    }
    assert all(abs(float(np.linalg.norm(vector)) - 1) < 1e-5 for vector in found.values())
    return found


async def test_before_there_is_a_model_the_backbone_tells_every_image_once(
    room: Room, library: ColourLibrary, objects: ObjectStore
) -> None:
    with pytest.raises(NotYetKnown, match="no snapshot was heard of yet; pack one"):
        await room.hear(request_vectors())
    red = [library.add((250, 10, 10)), library.add((250, 10, 10), label="red", benchmark="difficult")]
    blue = library.add((10, 10, 250), near_duplicate_of=red[0])
    await room.hear(library.packed())
    await room.hear(request_vectors())
    await room.hear(request_vectors())  # redelivery
    [computed] = await room.told()
    assert (computed.encoder, computed.model_version) == ("efficientnet-lite0/1", None)
    assert (computed.images, computed.dimensions, computed.snapshot_id) == (3, 1280, library.name)
    assert (computed.vectors.bucket, computed.vectors.key.startswith("vectors/efficientnet-lite0-1/")) == (
        "models",
        True,
    )
    found = await asyncio.to_thread(read, objects, computed.vectors)
    assert set(found) == {*red, blue}
    assert found[red[0]] @ found[red[1]] > 0.95 > found[red[0]] @ found[blue]
    assert not list(room.settings.work_dir.iterdir())


async def test_a_model_is_told_by_its_features_and_only_what_is_new(
    room: Room, library: ColourLibrary, objects: ObjectStore
) -> None:
    red, green = library.add((255, 0, 0)), library.add((0, 255, 0))
    await room.hear(library.packed())
    with pytest.raises(NotYetKnown, match="model 001 is not exported; export it: `menagerie export 001`"):
        await room.hear(request_vectors(model_version="001"))
    exported = library.exported()
    await room.database.run(lambda unit: store.record_model(unit, exported))
    await room.hear(request_vectors("vectors-1"))  # the newest model by itself
    blue = library.add((0, 0, 255))
    later = library.packed(snapshot_id=f"{library.name}-2", packed_at=NOW + timedelta(hours=1))
    await room.hear(later)
    await room.hear(request_vectors("vectors-2", model_version="001"))
    await room.hear(request_vectors("vectors-3", model_version="001"))  # nothing is left
    await room.hear(request_vectors("vectors-1"))  # a redelivery, late: of the old snapshot
    first, second, third = await room.told()
    assert {one.encoder for one in (first, second, third)} == {f"model-001-{exported.model.sha256[:8]}"}
    assert [one.images for one in (first, second, third)] == [2, 1, 0]
    assert [one.snapshot_id for one in (first, second)] == [library.name, later.snapshot_id]
    assert [one.dimensions for one in (first, second, third)] == [3, 3, 3]
    files = [await asyncio.to_thread(read, objects, one.vectors) for one in (first, second, third)]
    assert [set(file) for file in files] == [{red, green}, {blue}, set()]
    expected = {red: (1, 0, 0), green: (0, 1, 0), blue: (0, 0, 1)}
    for image_id, vector in {**files[0], **files[1]}.items():
        np.testing.assert_allclose(vector, expected[image_id], atol=0.02)


async def test_a_long_run_is_told_in_parts_that_request_each_other(
    room: Room, library: ColourLibrary, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "RUN_IMAGES", 2)
    images = {library.add((200, 20 * number, 9)) for number in range(5)}
    await room.hear(library.packed())
    await room.database.run(lambda unit: store.record_model(unit, library.exported()))
    request: RequestVectors | None = request_vectors()
    told: list[VectorsComputed] = []
    while request is not None:
        await room.hear(request)
        await room.hear(request)
        computed, *rest = (await room.told())[2 * len(told) :]
        told.append(computed)
        request = rest[0] if rest else None
        assert request is None or (request.snapshot_id, request.by) == (library.name, "ann")
    assert [one.images for one in told] == [2, 2, 1]
    found = [await asyncio.to_thread(read, objects, one.vectors) for one in told]
    assert sorted(image_id for file in found for image_id in file) == sorted(images)


async def test_an_image_in_which_the_encoder_sees_nothing_has_no_vector_and_is_not_tried_again(
    room: Room, library: ColourLibrary, objects: ObjectStore
) -> None:
    black, red = library.add((0, 0, 0)), library.add((255, 0, 0))
    await room.hear(library.packed())
    await room.database.run(lambda unit: store.record_model(unit, library.exported()))
    await room.hear(request_vectors("vectors-1"))
    await room.hear(request_vectors("vectors-2"))
    first, second = await room.told()
    assert (first.images, second.images) == (1, 0)
    assert set(await asyncio.to_thread(read, objects, first.vectors)) == {red} != {black}


async def test_two_replicas_at_once_tell_every_image_once(room: Room, library: ColourLibrary) -> None:
    images = {library.add((200, 20 * number, 9)) for number in range(4)}
    await room.hear(library.packed())
    await room.database.run(lambda unit: store.record_model(unit, library.exported()))
    other = room.beside()
    try:
        same = request_vectors("vectors-1")
        await asyncio.gather(room.hear(same), other.hear(same), other.hear(request_vectors("vectors-2")))
    finally:
        other.database.close()
    told = await room.told()
    assert len(told) == len({one.run_id for one in told}) == 2
    assert sorted(one.images for one in told) == [0, len(images)]


@pytest.mark.parametrize("victim", ["child", "service"])
async def test_a_kill_in_the_middle_leaves_nothing_and_the_redelivery_tells(
    victim: str, room: Room, library: ColourLibrary, tmp_path: Path
) -> None:
    library.add((1, 2, 3))
    packed, exported, request = library.packed(), library.exported(), request_vectors()
    files = [tmp_path / f"{number}.json" for number in range(3)]
    for file, message in zip(files, (packed, exported, request), strict=True):
        file.write_text(message.model_dump_json())
    service = psutil.Popen(
        [sys.executable, "-m", "tests.support.mortal_vectors", *map(str, files)],
        env={**os.environ, **room.settings.child_env()},
    )

    async def working() -> bool:
        return any(room.settings.work_dir.glob("*/model.keras"))  # which the child has fetched

    async def ended() -> bool:
        return service.poll() is not None and not runs(child)

    await until(working)
    [child] = [one for one in service.children() if handler.JOB in one.cmdline()]
    (child if victim == "child" else service).send_signal(signal.SIGKILL)
    await until(ended)
    assert await room.told() == []
    await room.hear(request)
    await room.hear(request)
    assert [one.images for one in await room.told()] == [1]
    assert not list(room.settings.work_dir.iterdir())


async def test_what_cannot_work_is_unprocessable_with_a_remedy(room: Room, library: ColourLibrary) -> None:
    library.add((1, 2, 3))
    await room.hear(library.packed())
    with pytest.raises(NotYetKnown, match="no snapshot s-404 was heard of yet"):
        await room.hear(request_vectors(snapshot_id="s-404"))
    big, broken = library.exported("002", image_size_px=299), library.exported("003", model=b"<html>")
    for exported in (big, broken):
        await room.database.run(partial(store.record_model, exported=exported))
    with pytest.raises(Unprocessable, match=r"model 002 takes images of 299 px, snapshot .* has 8 px"):
        await room.hear(request_vectors("vectors-1", model_version="002"))
    with pytest.raises(Unprocessable, match=r"no readable \.keras archive.*export the model again"):
        await room.hear(request_vectors("vectors-2", model_version="003"))
    again = library.exported("003", exported_at=NOW + timedelta(hours=1))
    await room.database.run(lambda unit: store.record_model(unit, again))
    with pytest.raises(Unprocessable, match=r"exported again with other weights since run .* request anew"):
        await room.hear(request_vectors("vectors-2", model_version="003"))
    assert await room.told() == []


async def test_switched_on_a_snapshot_and_an_export_set_off_runs_of_their_own(
    room: Room, library: ColourLibrary
) -> None:
    library.add_class(0, "train", 1)
    packed, exported = library.packed(), library.exported()
    await room.hear(packed)
    await room.hear(exported)
    assert await room.told() == []  # off
    switched_on = room.settings.model_copy(update={"similarity_vectors": True})
    on = Room(switched_on, (VectorsComputed, RequestVectors))
    try:
        for message in (packed, packed, exported, exported):
            await on.hear(message)
    finally:
        on.database.close()
    by_snapshot, by_model = await room.told()
    assert (by_snapshot.model_version, by_snapshot.snapshot_id, by_snapshot.by) == (
        None,
        library.name,
        "bulkid",
    )
    assert (by_model.model_version, by_model.snapshot_id, by_model.requested_at) == ("001", None, NOW)


async def test_the_service_computes_what_a_snapshot_brings(
    broker: Broker, weed: S3Server, postgres: Postgres, library: ColourLibrary, tmp_path: Path
) -> None:
    await asyncio.to_thread(broker.provision)
    image_id = library.add((0, 255, 0))
    values = model_service_settings("bulkid", weed, postgres.new_database(), tmp_path / "work", broker)
    service = create_app(BulkidSettings(**values, similarity_vectors=True))
    client = await broker.client("admin")
    js = client.jetstream(timeout=15)

    async def told() -> bool:
        return (await js.stream_info("BULK")).state.messages == 2

    await service.start()
    try:
        await say(js, library.packed())
        await until(told, 120)
        raw = [await js.get_msg("BULK", seq) for seq in (1, 2)]
        letters = await dead_letters(js)
    finally:
        await service.stop()
        await client.close()
    request, computed = (decode(one.subject or "", one.data or b"") for one in raw)
    assert isinstance(request, RequestVectors)
    assert isinstance(computed, VectorsComputed)
    assert set(await asyncio.to_thread(read, weed.store(), computed.vectors)) == {image_id}
    assert letters == []
