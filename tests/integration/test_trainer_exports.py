"""Exports and compressions with the real children, store and database: told once, killed and completed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.events import ModelCompressed, ModelExported
from contracts.manifests import Buckets
from services.ops.clients.errors import OpsError
from services.ops.clients.exports import check_folder, check_stored, download
from services.runtime.delivery import Unprocessable
from services.runtime.signing import public_key_of
from tests.support.export_desk import ExportDesk, compression, order, scored
from tests.support.export_house import KEY
from tests.support.servers import S3Server

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(weed: S3Server, tmp_path: Path) -> Iterator[ExportDesk]:
    made = ExportDesk(weed, tmp_path, f"sqlite:///{tmp_path}/trainer.sqlite")
    made.clear()
    yield made
    made.database.close()


async def test_a_killed_export_shows_no_half_and_is_completed_signed_told_once_and_fetched(
    desk: ExportDesk, tmp_path: Path
) -> None:
    model = await desk.register()
    report = desk.store.put(
        "reports", "exports/report.json", b'{"sets": [], "gate": {"verdict": "go", "rules": []}}'
    )
    killed = asyncio.create_task(desk.hear(scored(model, report)))
    async with asyncio.timeout(300):  # its first files come to the store late: the child dies in the midst
        while not desk.objects() and not killed.done():
            await asyncio.sleep(0.01)
    killed.cancel()
    await asyncio.wait([killed])
    assert await desk.told(ModelExported) == []
    public_key = public_key_of(KEY)
    if not killed.cancelled():
        raise AssertionError("the export ended before it could be killed")
    if "001/export.json" in desk.objects():  # it was faster than the kill: then all of it is there
        check_stored(desk.store, "001", public_key)
    else:
        with pytest.raises(OpsError, match="model 001 is not exported"):
            check_stored(desk.store, "001", public_key)

    await desk.hear(scored(model, report))
    await desk.hear(scored(model, report))  # redelivery
    assert check_stored(desk.store, "001", public_key).public_key == public_key
    desk.store.put(Buckets.MODELS, "001/labels.json", b"{}")
    with pytest.raises(OpsError, match=r"001/labels\.json is not .* again: `menagerie export 001`"):
        check_stored(desk.store, "001", public_key)
    await desk.hear(order())  # which is what the sentence advises
    first, second = await desk.told(ModelExported)
    assert (first.ordered_by, second.ordered_by) == (None, "ann")

    assert check_stored(desk.store, "001", public_key).public_key == public_key
    desk.store.put(Buckets.MODELS, "002/export.json", desk.store.get(second.manifest))
    with pytest.raises(OpsError, match="in the place of model 002 is the export of model 001"):
        check_stored(desk.store, "002", None)
    fetched = download(desk.store, "001", tmp_path / "models", public_key)
    folder = tmp_path / "models" / "001"
    assert check_folder(folder, public_key) == fetched
    check_refusals(folder, public_key)
    assert not [path for path in desk.settings.work_dir.iterdir() if path.name.startswith("export-")]


def check_refusals(folder: Path, public_key: str) -> None:
    """Every change to a fetched export is named."""
    with pytest.raises(OpsError, match="by the key 2222"):
        check_folder(folder, "22" * 32)
    labels = folder / "labels.json"
    content = labels.read_bytes()
    labels.write_bytes(content.replace(b"across", b"acroSS"))
    with pytest.raises(
        OpsError, match=r"labels\.json is not what the manifest says: do not serve this export"
    ):
        check_folder(folder, public_key)
    labels.write_bytes(content)
    (folder / "001" / "saved_model.pbtxt").write_text("another graph")
    with pytest.raises(OpsError, match=r"does not name \(001/saved_model\.pbtxt\)"):
        check_folder(folder, public_key)
    (folder / "001" / "saved_model.pbtxt").unlink()
    manifest = folder / "export.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"small_cnn", b"other_cnn"))
    with pytest.raises(OpsError, match="is not to be trusted"):
        check_folder(folder, public_key)
    assert check_folder(folder, None).files > 10
    manifest.write_bytes(manifest.read_bytes().replace(b'"labels.json"', b'"../labels.json"'))
    with pytest.raises(OpsError, match="outside its folder"):
        check_folder(folder, None)


async def test_a_model_is_compressed_once_a_request(desk: ExportDesk) -> None:
    await desk.register()
    asked = compression("001", int8=True, float16=False, dynamic_range=False)
    await desk.hear(asked)
    await desk.hear(asked)  # redelivery
    (told,) = await desk.told(ModelCompressed)
    assert [variant.name for variant in told.variants] == ["litert", "int8"]
    assert (told.test_images, told.measured_on) == (60, "test")
    for variant in told.variants:
        assert desk.store.get(variant.file)


async def test_throw_away_and_unknown_models_are_neither_exported_nor_compressed(desk: ExportDesk) -> None:
    await desk.register(throw_away=True)
    with pytest.raises(Unprocessable, match="model 001 is of a throw-away run, which is never exported"):
        await desk.hear(order())
    with pytest.raises(Unprocessable, match="model 001 is of a throw-away run, which is never compressed"):
        await desk.hear(compression("001"))
    with pytest.raises(Unprocessable, match="there is no model 404; the newest are: 001"):
        await desk.hear(compression("404"))
    assert desk.objects() == []
