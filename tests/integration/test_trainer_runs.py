"""The trainer with its real children, real digits, a real object store and real databases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from contracts.commands import RequestExport, RequestTraining
from contracts.events import (
    ModelExported,
    ModelScored,
    ModelTrained,
    TrainFailed,
    TrainProgressed,
    TrialCompleted,
)
from contracts.manifests import Buckets, ExportManifest, History
from contracts.taxonomy import Merge, Split
from contracts.training import DatasetRules, TrainOptions
from contracts.values import ObjectRef, Side
from services.runtime.delivery import Unprocessable
from services.runtime.objectstore import ObjectStore
from services.trainer import store
from services.trainer.fitting.manifest import read_dataset
from services.trainer.handlers import NotYet
from services.trainer.settings import TrainerSettings
from tests.support.colour_library import NOW
from tests.support.digit_library import DigitLibrary
from tests.support.model_services import model_service_settings
from tests.support.servers import S3Server
from tests.support.taxonomies import taxonomy_of
from tests.support.trainer_room import TrainerRoom, under_way

pytestmark = [pytest.mark.integration, pytest.mark.models]

RULES = DatasetRules(maximum_per_class=40)
OPTIONS = TrainOptions(
    epochs=3, batch_size=16, learning_rate=3e-3, flip=False, shift_share=0.05, schedule="cosine"
)
Named = Callable[[str], str]


@pytest.fixture
async def room(weed: S3Server, tmp_path: Path, named: Named) -> AsyncIterator[TrainerRoom]:
    url = f"sqlite:///{tmp_path}/trainer.sqlite"
    settings = TrainerSettings(**model_service_settings("trainer", weed, url, tmp_path / "work"))
    made = TrainerRoom(settings, weed.store(), named("room"))
    yield made
    made.database.close()


@pytest.fixture
def object_store(weed: S3Server) -> ObjectStore:
    return weed.store()


@pytest.fixture
def named(request: pytest.FixtureRequest) -> Named:
    """Names that no other test on the server uses."""
    own = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    return lambda name: f"{own}-{name}"


def training(run_id: str, snapshot_id: str, **change: Any) -> RequestTraining:
    return RequestTraining.model_validate(
        {"run_id": run_id, "snapshot_id": snapshot_id, "rules": RULES, "options": OPTIONS, "by": "ann"}
        | {"requested_at": NOW}
        | change
    )


def scored(trained: ModelTrained, verdict: str, report: ObjectRef) -> ModelScored:
    return ModelScored.model_validate({
        "request_id": trained.run_id, "model_version": trained.model_version, "threshold": 95.0, "sets": [],
        "gate": {"verdict": verdict, "rules": []}, "report": report, "scores": report, "scored_at": NOW,
        "throw_away": trained.throw_away,
    })  # fmt: skip


def ordered(version: str, request_id: str) -> RequestExport:
    return RequestExport(
        request_id=request_id,
        model_version=version,
        by="ann",
        reason="the gate is too strict",
        requested_at=NOW,
    )


def loaded(object_store: ObjectStore, ref: ObjectRef, folder: Path) -> keras.Model:
    object_store.get_file(ref, folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras", compile=False)


async def test_the_first_model_is_fine_tuned_for_more_classes_and_exported_once_the_gate_says_go(
    room: TrainerRoom, object_store: ObjectStore, named: Named, tmp_path: Path
) -> None:
    opening = DigitLibrary(object_store, named("opening"), "01", 50).packed()
    grown_library = DigitLibrary(object_store, named("grown"), "012", 60)
    with pytest.raises(NotYet, match="is not known to the trainer"):
        await room.hear(training(named("first"), opening.snapshot_id))
    for packed in (opening, grown_library.packed()):
        await room.hear(packed)

    await room.hear(training(named("first"), opening.snapshot_id))
    *epochs, first = await room.told()
    assert [type(epoch) for epoch in epochs] == [TrainProgressed] * 3
    assert isinstance(first, ModelTrained)
    assert (first.model_version, first.base_version, first.classes) == ("001", None, ("0", "1"))
    assert first.images.train + first.images.validation == 80
    assert (first.images.test, first.images.out) == (20, 10)
    history = History.model_validate_json(object_store.get(first.history))
    assert [epoch.val_accuracy for epoch in history.epochs] == [
        epoch.val_accuracy for epoch in epochs if isinstance(epoch, TrainProgressed)
    ]
    assert first.best_val_accuracy == history.epochs[first.best_epoch - 1].val_accuracy

    before = len(await room.told())
    await room.hear(training(named("first"), opening.snapshot_id))  # redelivery
    assert len(await room.told()) == before

    await room.hear(training(named("second"), named("grown")))
    second = await room.last()
    assert isinstance(second, ModelTrained)
    assert (second.model_version, second.base_version, second.classes) == ("002", "001", ("0", "1", "2"))
    taught = {row.image_id for row in dataset_of(object_store, first, Side.TRAIN)}
    assert taught <= {row.image_id for row in dataset_of(object_store, second, Side.TRAIN)}
    one, two = (loaded(object_store, model.model, tmp_path / model.run_id) for model in (first, second))
    assert two.get_layer("scores").units == 3
    assert not np.array_equal(*(model.get_layer("block1a_conv").get_weights()[0] for model in (one, two)))

    report = object_store.put("reports", named("report.json"), b'{"test": 1}')
    await room.hear(scored(first, "no-go", report))
    assert await room.last() == second
    await room.hear(scored(second, "go", report))
    exported = await room.last()
    assert isinstance(exported, ModelExported)
    await room.hear(scored(second, "go", report))
    await room.hear(ordered("002", "order-0001"))
    again = await room.last()
    assert isinstance(again, ModelExported)
    assert (again.manifest, again.ordered_by, exported.ordered_by) == (exported.manifest, "ann", None)
    assert sum(isinstance(message, ModelExported) for message in await room.told()) == 2
    check_export(object_store, exported, grown_library, tmp_path / "export")
    assert {folder.name for folder in room.settings.work_dir.iterdir()} <= {"shards", "matplotlib"}


def dataset_of(object_store: ObjectStore, trained: ModelTrained, side: Side) -> list[Any]:
    return [row for row in read_dataset(object_store.get(trained.dataset)) if row.side is side]


def check_export(
    object_store: ObjectStore, exported: ModelExported, library: DigitLibrary, folder: Path
) -> None:
    """Every file is there by its digest, and all three signatures say what the ``.keras`` says."""
    import tensorflow as tf

    manifest = ExportManifest.model_validate_json(object_store.get(exported.manifest))
    assert exported.manifest.key == "002/export.json"
    for file in manifest.files:
        ref = ObjectRef(bucket="models", key=f"002/{file.path}", size=file.size, sha256=file.sha256)
        object_store.get_file(ref, folder / file.path)
    paths = {file.path for file in manifest.files}
    assert {"002/saved_model.pb", "labels.json", "dataset.parquet", "evaluation.json", "model.keras"} <= paths
    assert json.loads((folder / "labels.json").read_text()) == {"0": "0", "1": "1", "2": "2"}

    images = np.stack(list(library.pixels.values())[:25])
    expected = keras.saving.load_model(folder / "model.keras", compile=False).predict_on_batch(images)
    served = tf.saved_model.load(str(folder / "002"))
    pngs = [library.png(image_id) for image_id in list(library.pixels)[:25]]
    answers = [
        served.signatures["serving_default"](image=tf.constant(images)),
        served.signatures["serving_float"](image=tf.constant(images, tf.float32)),
        served.signatures["serving_bytes"](image_bytes=tf.constant(pngs)),
    ]
    for answer in answers:
        np.testing.assert_allclose(answer["scores"].numpy(), expected, atol=1e-6)
        best = [name.decode() for name in answer["classes"].numpy()[:, 0]]
        assert best == [manifest.classes[index] for index in expected.argmax(axis=1)]


async def test_a_run_that_was_killed_and_run_again_gives_the_weights_of_an_undisturbed_one(
    room: TrainerRoom, object_store: ObjectStore, named: Named, tmp_path: Path
) -> None:
    packed = DigitLibrary(object_store, named("digits"), "01", 40).packed()
    await room.hear(packed)
    async with under_way(room, training(named("one"), packed.snapshot_id)) as disturbed:
        assert not disturbed.done()  # it is ended here, with its child
    assert isinstance(await room.last(), TrainProgressed)

    await room.hear(training(named("one"), packed.snapshot_id))
    one = await room.last()
    await room.hear(training(named("two"), packed.snapshot_id, base="scratch"))
    two = await room.last()
    assert isinstance(one, ModelTrained)
    assert isinstance(two, ModelTrained)
    assert (one.model_version, two.model_version) == ("001", "002")
    weights = [loaded(object_store, run.model, tmp_path / run.run_id).get_weights() for run in (one, two)]
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert one.dataset.sha256 == two.dataset.sha256


async def test_a_trial_registers_no_model(room: TrainerRoom, object_store: ObjectStore, named: Named) -> None:
    packed = DigitLibrary(object_store, named("digits"), "01", 40).packed()
    await room.hear(packed)
    short = OPTIONS.model_copy(update={"epochs": 1})
    await room.hear(training(named("trial"), packed.snapshot_id, trial=True, options=short))
    trial = await room.last()
    assert isinstance(trial, TrialCompleted)
    assert trial.epochs == 1
    assert History.model_validate_json(object_store.get(trial.history)).run_id == trial.run_id
    assert await room.database.read(store.known_versions) == []


async def test_a_run_trains_the_classes_of_the_taxonomy_version_it_asks_for(
    room: TrainerRoom, object_store: ObjectStore, named: Named
) -> None:
    document = taxonomy_of(Merge(into="round", members=("0", "2")), Split(class_name="round"))
    place = f"{named('taxonomy')}.json"
    ref = object_store.put(Buckets.LIBRARY, place, document.model_dump_json().encode())
    library = DigitLibrary(object_store, named("digits"), "012", 12)
    await room.hear(library.packed(taxonomy=ref, taxonomy_version=2))
    fields = {
        "options": OPTIONS.model_copy(update={"epochs": 1}), "rules": DatasetRules(minimum_per_class=12)
    }  # fmt: skip
    await room.hear(training(named("merged"), named("digits"), taxonomy_version=1, **fields))
    trained = await room.last()
    assert isinstance(trained, ModelTrained)
    assert trained.classes == ("1", "round")
    rows = [row for row in read_dataset(object_store.get(trained.dataset)) if row.class_name == "round"]
    assert {row.label for row in rows} == {"0", "2"}
    await room.hear(training(named("newer"), named("digits"), taxonomy_version=3, **fields))
    failed = await room.last()
    assert isinstance(failed, TrainFailed)
    assert failed.error == "version 3 of the taxonomy is newer than the snapshot, which knows 2"
    assert "pack a new snapshot" in failed.remedy


async def test_throw_away_and_unknown_models_are_never_exported(
    room: TrainerRoom, object_store: ObjectStore
) -> None:
    held = object_store.put("reports", "any", b"{}")
    trained = ModelTrained.model_validate({
        "run_id": "throw-0001", "model_version": "000", "snapshot_id": "s", "network": "small_cnn",
        "image_size_px": 28, "classes": ("0", "1"), "model": held, "dataset": held, "history": held,
        "images": dict.fromkeys(("train", "validation", "test", "benchmark", "out"), 0), "epochs": 1,
        "best_epoch": 1, "throw_away": True, "trained_at": NOW,
    })  # fmt: skip
    request = training("throw-0001", "s", throw_away=True)
    await room.database.run(lambda unit: store.begin_run(unit, request, NOW))
    version = await room.database.run(lambda unit: store.register(unit, trained))
    assert version == "001"
    await room.hear(scored(trained.model_copy(update={"model_version": "001"}), "go", held))
    with pytest.raises(Unprocessable, match="model 001 is of a throw-away run"):
        await room.hear(ordered("001", "order-0001"))
    with pytest.raises(Unprocessable, match="there is no model 404; the newest are: 001"):
        await room.hear(ordered("404", "order-0002"))
    assert not any(isinstance(message, ModelExported) for message in await room.told())
