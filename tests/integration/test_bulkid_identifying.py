"""Bulkid with its real child, a real network, a real object store and a real database."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.commands import RequestIdentification
from contracts.events import BulkCompleted, BulkIdentified, ModelTrained
from services.bulkid import store
from services.bulkid.app import create_app
from services.bulkid.domain.runs import PAGE_RESULTS, run_id_for
from services.bulkid.handlers import NotYetKnown
from services.bulkid.settings import BulkidSettings
from services.bulkid.store import Run
from services.runtime.child import ChildDied
from services.runtime.delivery import Unprocessable
from services.runtime.envelope import decode
from services.runtime.objectstore import ObjectStore
from tests.support.bulkid_room import Room
from tests.support.colour_library import COLOURS, NOW, ColourLibrary
from tests.support.model_services import model_service_settings
from tests.support.probe import dead_letters, say, until
from tests.support.servers import Broker, Postgres, S3Server

pytestmark = [pytest.mark.integration, pytest.mark.models]


@pytest.fixture
async def room(weed: S3Server, tmp_path: Path) -> AsyncIterator[Room]:
    url = f"sqlite:///{tmp_path}/bulkid.sqlite"
    settings = BulkidSettings(**model_service_settings("bulkid", weed, url, tmp_path / "work"))
    made = Room(settings, (BulkIdentified, BulkCompleted), alone=True)
    yield made
    made.database.close()


@pytest.fixture
def object_store(weed: S3Server) -> ObjectStore:
    """Of the one server that the children read from too."""
    return weed.store()


@pytest.fixture
def library(object_store: ObjectStore, request: pytest.FixtureRequest) -> ColourLibrary:
    return ColourLibrary(object_store, hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20])


def request_for(version: str, snapshot_id: str | None = None) -> RequestIdentification:
    return RequestIdentification(
        request_id="identify-1", model_version=version, snapshot_id=snapshot_id, by="ann", requested_at=NOW
    )


async def test_every_unlabelled_image_is_identified_once_in_pages(room: Room, library: ColourLibrary) -> None:
    expected = {}
    for number in range(PAGE_RESULTS + 20):
        channel = number % 3
        colour = tuple(255 if index == channel else 0 for index in range(3))
        expected[library.add(colour)] = COLOURS[channel]  # type: ignore[arg-type]
    near = library.add((200, 10, 10), near_duplicate_of=next(iter(expected)))
    grey = library.add((90, 90, 91))
    library.add_class(0, "train", 3)
    library.add((0, 255, 0), benchmark="difficult")
    library.add((0, 255, 0), label="Unknown Bird", label_kind="unknown")
    exported = library.exported()

    with pytest.raises(NotYetKnown, match=f"no snapshot {library.name} was heard of yet"):
        await room.hear(exported)
    await room.hear(library.packed())
    await room.hear(exported)
    await room.hear(exported)  # redelivery

    *pages, completed = await room.told()
    assert isinstance(completed, BulkCompleted)
    assert [page.page for page in pages if isinstance(page, BulkIdentified)] == [1, 2]
    results = [result for page in pages if isinstance(page, BulkIdentified) for result in page.results]
    assert [len(page.results) for page in pages if isinstance(page, BulkIdentified)] == [PAGE_RESULTS, 22]
    assert [result.image_id for result in results] == sorted([*expected, near, grey])
    found = {result.image_id: result.top for result in results}
    assert {image_id: found[image_id][0].label for image_id in expected} == expected
    assert all(found[image_id][0].confidence > 98.0 for image_id in expected)
    assert found[near][0].label == "red"
    assert found[grey][0].confidence < 40
    assert found[grey][0].label == "blue"
    assert all(
        len(top) == 3 and sum(one.confidence for one in top) == pytest.approx(100, abs=0.01)
        for top in found.values()
    )
    assert (completed.identified, completed.threshold) == (len(results), 95.0)
    assert completed.above_threshold == sum(top[0].confidence >= 95.0 for top in found.values())
    assert {page.run_id for page in pages if isinstance(page, BulkIdentified)} == {completed.run_id}
    assert not list(room.settings.work_dir.iterdir())


def trained_by(library: ColourLibrary, *, throw_away: bool) -> ModelTrained:
    exported = library.exported()
    return ModelTrained.model_validate({
        "run_id": "run-0001", "model_version": "007", "snapshot_id": library.name, "network": "small_cnn",
        "image_size_px": exported.image_size_px, "classes": exported.classes, "model": exported.model,
        "dataset": exported.model, "history": exported.model, "epochs": 1, "best_epoch": 1,
        "images": dict.fromkeys(("train", "validation", "test", "benchmark", "out"), 0),
        "throw_away": throw_away, "trained_at": NOW + timedelta(hours=1),
    })  # fmt: skip


async def test_a_throw_away_model_identifies_without_an_export_and_is_never_the_newest_exported_one(
    room: Room, library: ColourLibrary
) -> None:
    image_id = library.add((0, 0, 255))
    await room.hear(library.packed())
    await room.hear(trained_by(library, throw_away=False))
    assert await room.told() == []
    for _ in range(2):
        await room.hear(trained_by(library, throw_away=True))
    page, completed = await room.told()
    assert isinstance(page, BulkIdentified)
    assert isinstance(completed, BulkCompleted)
    assert (page.model_version, completed.model_version) == ("007", "007")
    assert [(result.image_id, result.top[0].label) for result in page.results] == [(image_id, "blue")]
    size = library.exported().image_size_px
    assert await room.database.read(lambda c: store.newest_model(c, size)) is None
    assert (await room.database.read(lambda c: store.find_model(c, "007"))) is not None


async def test_a_run_that_was_interrupted_tells_only_what_is_missing_of_the_snapshot_it_began_with(
    room: Room, library: ColourLibrary
) -> None:
    first = library.add((255, 0, 0))
    exported, old = library.exported(), library.packed()
    run = Run(run_id_for("001", exported.request_id), "001", library.name, 95.0, None)
    page = BulkIdentified.model_validate(
        {
            "run_id": run.run_id,
            "page": 1,
            "model_version": "001",
            "identified_at": NOW,
            "results": [{"image_id": first, "top": [{"label": "red", "confidence": 94.0}]}],
        }
    )
    await room.hear(old)
    await room.database.run(lambda unit: store.open_run(unit, run))
    await room.database.run(lambda unit: store.record_pages(unit, [page], 95.0))
    # Killed here; a newer snapshot comes before the redelivery.
    newer = old.model_copy(update={"snapshot_id": "newer", "packed_at": NOW + timedelta(hours=1)})
    await room.hear(newer)
    await room.hear(exported)
    told_page, completed = await room.told()
    assert told_page == page
    assert isinstance(completed, BulkCompleted)
    assert (completed.snapshot_id, completed.identified, completed.above_threshold) == (library.name, 1, 0)


async def test_nothing_unlabelled_is_a_run_of_zero_and_a_request_may_name_the_snapshot(
    room: Room, library: ColourLibrary
) -> None:
    library.add_class(1, "train", 2)
    packed = library.packed()
    await room.hear(packed)
    with pytest.raises(NotYetKnown, match="model 001 is not exported"):
        await room.hear(request_for("001"))
    await room.hear(library.exported())
    with pytest.raises(NotYetKnown, match="no snapshot s-404 was heard of yet"):
        await room.hear(request_for("001", "s-404"))
    await room.hear(request_for("001", library.name))
    automatic, asked = await room.told()
    assert isinstance(automatic, BulkCompleted)
    assert isinstance(asked, BulkCompleted)
    assert automatic.run_id != asked.run_id
    assert (asked.identified, asked.snapshot_id) == (0, library.name)


async def test_a_model_for_another_image_size_and_one_that_is_no_model_are_unprocessable(
    room: Room, library: ColourLibrary
) -> None:
    library.add((1, 2, 3))
    await room.hear(library.packed())
    with pytest.raises(Unprocessable, match="model 001 takes images of 299 px"):
        await room.hear(library.exported(image_size_px=299))
    with pytest.raises(Unprocessable, match=r"no readable \.keras archive"):
        await room.hear(library.exported("002", model=b"<html>"))
    assert await room.told() == []


async def test_a_missing_object_is_a_fault_to_be_tried_again(room: Room, library: ColourLibrary) -> None:
    packed = library.packed()
    gone = packed.manifest.model_copy(update={"key": f"{library.name}/gone.parquet"})
    await room.hear(packed.model_copy(update={"manifest": gone}))
    with pytest.raises(ChildDied, match="ObjectMissing"):
        await room.hear(library.exported())
    assert await room.told() == []


async def test_exports_and_requests_share_one_child_at_a_time(
    room: Room, library: ColourLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most = 0, 0

    async def child(_module: str, spec: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.to_thread(Path(spec["pages"]).write_text, "")
        running -= 1
        return {}

    monkeypatch.setattr("services.bulkid.handlers.identifying.run_child", child)
    await room.hear(library.packed())
    await room.database.run(lambda unit: store.record_model(unit, library.exported()))
    await asyncio.gather(room.hear(library.exported()), room.hear(request_for("001")))
    assert most == 1
    assert len(await room.told()) == 2


async def test_the_service_hears_identifies_and_tells_whatever_stream_is_ahead(
    broker: Broker, weed: S3Server, postgres: Postgres, library: ColourLibrary, tmp_path: Path
) -> None:
    await asyncio.to_thread(broker.provision)
    image_id = library.add((0, 255, 0))
    packed, exported = library.packed(), library.exported()
    values = model_service_settings("bulkid", weed, postgres.new_database(), tmp_path / "work", broker)
    service = create_app(BulkidSettings(**values))
    client = await broker.client("admin")
    js = client.jetstream(timeout=15)

    async def tried() -> bool:
        return (await js.consumer_info("MODELS", "bulkid-models")).num_redelivered > 0

    async def told() -> bool:
        return (await js.stream_info("BULK")).state.messages == 2

    await service.start()
    try:
        await say(js, exported)
        await until(tried)
        await say(js, packed)
        await until(told, 120)
        raw = [await js.get_msg("BULK", seq) for seq in (1, 2)]
        letters = await dead_letters(js)
    finally:
        await service.stop()
        await client.close()
    page, completed = (decode(one.subject or "", one.data or b"") for one in raw)
    assert isinstance(page, BulkIdentified)
    assert isinstance(completed, BulkCompleted)
    assert [(result.image_id, result.top[0].label) for result in page.results] == [(image_id, "green")]
    assert completed.identified == completed.above_threshold == 1
    assert letters == []


def test_bulkids_parent_process_imports_no_tensorflow() -> None:
    code = (
        "import sys, services.bulkid.app as app; app.create_app;"
        "sys.exit(str([m for m in ('tensorflow', 'keras', 'pyarrow', 'numpy') if m in sys.modules] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
