"""The evaluator with its real child, a real network, a real object store and a real database."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from contracts.events import ModelScored, ModelTrained
from contracts.values import QualityFlag
from services.evaluator import store
from services.evaluator.app import create_app
from services.evaluator.settings import EvaluatorSettings
from services.runtime.child import ChildDied
from services.runtime.delivery import Unprocessable
from services.runtime.envelope import decode
from services.runtime.objectstore import ObjectStore
from tests.support.check_stack_report import filed_of
from tests.support.colour_library import NOW, ColourLibrary
from tests.support.colour_model import colour_model, colour_scores
from tests.support.evaluator_house import Room, evaluation_of, flagged
from tests.support.model_services import model_service_settings
from tests.support.probe import dead_letters, say, until
from tests.support.report_check import differences
from tests.support.servers import Broker, Postgres, S3Server

pytestmark = [pytest.mark.integration, pytest.mark.models]


@pytest.fixture
async def room(weed: S3Server, tmp_path: Path) -> AsyncIterator[Room]:
    url = f"sqlite:///{tmp_path}/evaluator.sqlite"
    made = Room(EvaluatorSettings(**model_service_settings("evaluator", weed, url, tmp_path / "work")))
    yield made
    made.database.close()


@pytest.fixture
def object_store(weed: S3Server) -> ObjectStore:
    """Of the one server that the children read from too."""
    return weed.store()


@pytest.fixture
def library(object_store: ObjectStore, request: pytest.FixtureRequest) -> ColourLibrary:
    return ColourLibrary(object_store, hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20])


async def read(object_store: ObjectStore, scored: ModelScored) -> tuple[Any, dict[str, Any], np.ndarray]:
    document = json.loads(await asyncio.to_thread(object_store.get, scored.report))
    results = object_store.get(scored.scores.model_copy(update=document["results"]))
    return pq.read_table(io.BytesIO(results)), document, np.load(io.BytesIO(object_store.get(scored.scores)))


async def test_a_trained_model_is_scored_on_every_image_and_told_once_and_again_when_asked(
    room: Room, library: ColourLibrary, object_store: ObjectStore
) -> None:
    for index in range(3):
        library.add_class(index, "train", 4)
        library.add_class(index, "validation", 2)
        library.add_class(index, "test", 3)
        library.add_class(index, "out", 1)
    library.add_class(0, "benchmark", 5, benchmark="difficult")
    wrong = library.add((0, 255, 0), side="benchmark", benchmark="difficult", class_name="red", class_index=0)
    popcorn = library.add((0, 0, 255), side="benchmark", benchmark="Out of scope", label="popcorn")
    unsure = library.add((128, 128, 128), side="benchmark", benchmark="Out of scope")
    trained = library.trained()
    await room.hear(flagged(wrong, QualityFlag.BLURRY, QualityFlag.OVER_EXPOSED))
    await room.hear(flagged(unsure, QualityFlag.BLURRY))

    await room.hear(trained)
    await room.hear(trained)  # redelivery
    await room.hear(flagged(unsure, revision=3))  # is sharp enough by now
    await room.hear(flagged(unsure, QualityFlag.BLURRY, revision=2))  # came late
    await room.hear(evaluation_of("001"))
    await room.hear(evaluation_of("001"))

    scored, again = await room.told(ModelScored)
    assert (again.model_version, again.request_id, again.sets) == ("001", "again-0001", scored.sets)
    assert (scored.model_version, scored.request_id) == ("001", trained.run_id)
    sets = {one.name: one for one in scored.sets}
    assert list(sets) == ["train", "validation", "test", "difficult", "out-of-scope"]
    assert [one.images for one in scored.sets] == [12, 6, 9, 6, 2]
    assert sets["test"].accuracy == 1.0
    assert sets["test"].true_positives_above == 1.0
    assert sets["difficult"].accuracy == pytest.approx(5 / 6)
    assert sets["out-of-scope"].false_positives_above == 0.5
    failed = [rule.rule for rule in scored.gate.rules if rule.passed is False]
    assert failed == ["difficult-false-positives", "out-of-scope-false-positives"]
    assert scored.gate.verdict == "no-go"

    results, document, scores = await read(object_store, scored)
    ids = results["image_id"].to_pylist()
    assert ids == sorted(image_id for image_id, row in library.rows.items() if row["side"] != "out")
    expected = colour_scores(np.stack([library.pixels[image_id] for image_id in ids]), 3)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    rows = {row["image_id"]: row for row in results.to_pylist()}
    assert rows[wrong] | {"confidence": 0, "p_truth": 0} == {
        "image_id": wrong,
        "set": "difficult",
        "truth": "red",
        "predicted": "green",
        "confidence": 0,
        "p_truth": 0,
    }
    assert rows[popcorn]["truth"] is None
    assert rows[popcorn]["p_truth"] is None
    assert rows[unsure]["confidence"] < 40
    difficult = next(one for one in document["sets"] if one["name"] == "difficult")
    assert difficult["most_confused"] == [
        {"truth": "red", "predicted": "green", "images": 1, "share_of_truth": pytest.approx(1 / 6)}
    ]
    assert not list(room.settings.work_dir.glob("*"))
    check_report_files(object_store, trained, scored, again, wrong, unsure)


def check_report_files(
    object_store: ObjectStore, trained: ModelTrained, scored: ModelScored, again: ModelScored,
    wrong: str, unsure: str,
) -> None:  # fmt: skip
    """The figures computed a second time, the flags of then, the page and the table of the same scoring."""
    blurry = {wrong: ["blurry", "over-exposed"], unsure: ["blurry"]}
    filed = filed_of(object_store, scored.report, trained.dataset, flags=blurry)
    assert differences(filed) == []
    later = filed_of(object_store, again.report, trained.dataset, flags={wrong: blurry[wrong]})
    assert differences(later) == []
    flags = {one["name"]: [group["name"] for group in one["per_flag"]] for one in filed.report["sets"]}
    assert flags["difficult"] == ["blurry", "over-exposed", "none"]
    assert flags["out-of-scope"] == ["blurry", "none"]

    assert scored.page is not None
    assert scored.figures is not None
    assert filed.report["page"] == scored.page.model_dump(mode="json")
    page = object_store.get(scored.page).decode()
    assert "No-go" in page
    assert f"<code>{wrong[:12]}</code>" in page
    assert page.count('<img src="data:image/webp;base64,') == 4  # two on benchmarks, one of them doubtful too
    rows = pq.read_table(io.BytesIO(object_store.get(scored.figures))).to_pylist()
    (recall,) = [
        row for row in rows if (row["set"], row["class"], row["figure"]) == ("difficult", "red", "recall")
    ]
    assert (recall["value"], recall["images"]) == (pytest.approx(5 / 6), 6)
    assert recall["low"] < 5 / 6 < recall["high"]


async def test_a_version_that_was_never_trained_is_unprocessable_with_a_sentence(room: Room) -> None:
    with pytest.raises(
        Unprocessable, match="model 404 was never trained here; the newest models are: none yet"
    ):
        await room.hear(evaluation_of("404"))


def lambda_archive() -> bytes:
    """A ``.keras`` file whose Lambda layer Keras itself would refuse as well."""
    held = io.BytesIO()
    layer = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "registered_name": None,
        "config": {"function": "x"},
    }
    with zipfile.ZipFile(io.BytesIO(colour_model(8, 3))) as good, zipfile.ZipFile(held, "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"]["layers"].append(layer)
                data = json.dumps(config).encode()
            bad.writestr(name, data)
    return held.getvalue()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": lambda_archive}, "has a Lambda, which runs bytecode"),
        ({"model": lambda: b"no archive"}, "no readable .keras archive"),
        ({"image_size_px": 16}, r"takes \(None, 8, 8, 3\)"),
        ({"classes": ("red", "green")}, "the model has 2 classes"),
    ],
)
async def test_a_model_that_cannot_be_used_is_unprocessable_and_stays_known(
    room: Room, library: ColourLibrary, change: dict[str, Any], sentence: str
) -> None:
    library.add_class(2, "test", 2)
    trained = library.trained(
        **{name: value() if callable(value) else value for name, value in change.items()}
    )
    with pytest.raises(Unprocessable, match=sentence):
        await room.hear(trained)
    assert await room.told(ModelScored) == []
    assert await room.database.read(lambda c: store.find_model(c, "001")) == trained
    assert not list(room.settings.work_dir.glob("*"))


async def test_a_missing_object_is_a_fault_to_be_tried_again(room: Room, library: ColourLibrary) -> None:
    library.add_class(0, "test", 1)
    trained = library.trained()
    gone = trained.dataset.model_copy(update={"key": f"{library.name}/gone.parquet"})
    with pytest.raises(ChildDied, match=r"ObjectMissing: snapshots/.*/gone\.parquet"):
        await room.hear(trained.model_copy(update={"dataset": gone}))
    assert await room.told(ModelScored) == []


async def test_a_data_set_without_any_image_is_unprocessable(room: Room, library: ColourLibrary) -> None:
    library.add_class(0, "out", 1)
    with pytest.raises(Unprocessable, match="nothing to score"):
        await room.hear(library.trained())


async def test_the_service_hears_scores_and_tells_and_puts_an_unknown_version_aside(
    broker: Broker, weed: S3Server, postgres: Postgres, library: ColourLibrary, tmp_path: Path
) -> None:
    await asyncio.to_thread(broker.provision)
    library.add_class(0, "test", 2)
    trained = library.trained()
    values = model_service_settings("evaluator", weed, postgres.new_database(), tmp_path / "work", broker)
    service = create_app(EvaluatorSettings(**values))
    (image_id, *_) = library.rows
    client = await broker.client("admin")
    js = client.jetstream(timeout=15)
    await service.start()
    try:
        await say(js, flagged(image_id, QualityFlag.BLURRY))

        async def noted() -> bool:
            known = await service.database.read(store.flags_of_images)
            return known == {image_id: ["blurry"]}

        await until(noted, 30)
        await say(js, evaluation_of("404"), trained)

        async def told() -> bool:
            return (await js.stream_info("MODELS")).state.messages == 3

        await until(told, 120)
        raw = await js.get_msg("MODELS", 3)
        (letter,) = await dead_letters(js)
    finally:
        await service.stop()
        await client.close()
    scored = decode(raw.subject or "", raw.data or b"")
    assert isinstance(scored, ModelScored)
    assert (scored.model_version, scored.gate.verdict) == ("001", "go")
    report = json.loads(weed.store().get(scored.report))
    (test,) = [one for one in report["sets"] if one["name"] == "test"]
    assert [(part["name"], part["images"]) for part in test["per_flag"]] == [("blurry", 1), ("none", 1)]
    assert letter.error.startswith("model 404 was never trained here")


async def test_two_deliveries_at_the_same_time_tell_once(room: Room, library: ColourLibrary) -> None:
    library.add_class(0, "test", 1)
    trained: ModelTrained = library.trained()
    scored = ModelScored.model_validate(
        {
            "request_id": trained.run_id,
            "model_version": "001",
            "threshold": 95.0,
            "sets": [],
            "gate": {"verdict": "go", "rules": []},
            "report": trained.model,
            "scores": trained.model,
            "scored_at": NOW,
        }
    )
    told = [await room.database.run(lambda unit: store.record_scoring(unit, scored)) for _ in range(2)]
    assert told == [True, False]
    assert len(await room.told(ModelScored)) == 1


def test_the_evaluators_parent_process_imports_no_tensorflow() -> None:
    code = (
        "import sys, services.evaluator.app as app; app.create_app;"
        "sys.exit(str([m for m in ('tensorflow', 'keras', 'pyarrow') if m in sys.modules] or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
