"""Changes of the taxonomy by message and over HTTP, through a real broker, of the real service."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from contracts.commands import MergeClasses, RenameClass, SplitClass, UndoTaxonomy
from contracts.events import ImageRelabelled, TaxonomyChanged
from tests.support.ingest_service import IngestServers, said, upload_form
from tests.support.label_desk import ask, of_kind
from tests.support.pictures import encoded, noise
from tests.support.probe import dead_letters, say, until, until_quiet
from tests.support.servers import Broker, S3Server

pytestmark = pytest.mark.integration


@pytest.fixture
def servers(broker: Broker, weed: S3Server, tmp_path: Path) -> IngestServers:
    broker.provision()
    weed.store()  # makes the buckets
    return IngestServers(broker, weed, f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work")


async def test_every_change_is_told_once_and_later_uploads_get_todays_names(servers: IngestServers) -> None:
    admin = await servers.broker.client("admin")
    js = admin.jetstream(timeout=15)
    async with servers.running() as client:

        async def taken_in(images: int) -> bool:
            return Counter(message.name for message in await said(js))["image.labelled"] == images

        first = [("upload-0001", encoded(noise(20, 20, 1)))]
        await client.post("/api/v1/images", **upload_form(first, label="chimp/young"))
        await until(lambda: taken_in(1), 90)
        await say(
            js,
            ask(MergeClasses, "request-1", into="ape", members=["chimp", "bonobo"]),
            ask(RenameClass, "request-2", old="chimp", new="pan"),
            ask(SplitClass, "request-3", class_name="ape"),
            ask(UndoTaxonomy, "request-4", version=3),
            ask(SplitClass, "request-5", class_name="zebra"),
        )
        await until_quiet(js, "ingest-classes", "LIBRARY")

        async def refused() -> bool:
            return bool(await dead_letters(js))

        await until(refused)
        second = [("upload-0002", encoded(noise(20, 20, 2)))]
        await client.post("/api/v1/images", **upload_form(second, label="chimp/old"))
        await until(lambda: taken_in(2), 90)
        images = (await client.get("/api/v1/images", params={"class": "ape"})).json()["images"]
        assert sorted(image["label"] for image in images) == ["pan/old", "pan/young"]
        counted = (await client.get("/api/v1/classes")).json()
        assert [(one["class_name"], one["images"]) for one in counted["classes"]] == [("ape", 2)]
        answer = await client.post("/api/v1/commands/class.undo", json={"version": 1, "by": "ann"})
        assert (answer.status_code, answer.json()["detail"]) == (
            409, "version 1 is not the newest; undo version 4 first",
        )  # fmt: skip
    changes = of_kind(await said(js, "LIBRARY"), TaxonomyChanged)
    assert [(one.version, one.operation.change.kind, one.operation.undoes, one.images) for one in changes] == [
        (1, "merge", None, 1), (2, "rename", None, 1), (3, "split", None, 1), (4, "merge", 3, 1),
    ]  # fmt: skip
    messages = await said(js)
    assert [one.label for one in of_kind(messages, ImageRelabelled)] == ["pan/young"]
    told = Counter(message.name for message in messages)
    assert (told["image.double-check-requested"], told["image.double-checked"]) == (1, 1)
    [letter] = await dead_letters(js)
    assert "'zebra' is not a merged class; merged are: 'ape'" in letter.error
    await admin.close()
