"""An export: whole, signed, visible all at once, and good in an environment without this project."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from contracts.manifests import Buckets, ExportManifest, ExportSignature
from contracts.values import ObjectRef
from services.networks import archive
from services.runtime import signing
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from services.trainer.domain.export_specs import MODEL_FILE, ExportResult
from services.trainer.exporting import export
from services.trainer.fitting import export_files
from services.trainer.fitting.manifest import read_dataset
from services.trainer.fitting.measuring import LiteModel
from services.trainer.fitting.warmup import PLACE, messages
from tests.support.export_house import CLASSES, KEY, SIZE_PX, ExportHouse
from tests.support.servers import S3Server
from tests.support.tampered_model import with_lambda

pytestmark = [pytest.mark.integration, pytest.mark.models]

BARE = """
import sys
for name in ("keras", "tf_keras", "services", "contracts", "deploy", "tests"):
    sys.modules[name] = None  # importing it fails from now on
import numpy as np, tensorflow as tf
given = np.load(sys.argv[2])
served = tf.saved_model.load(sys.argv[1])
pngs = [tf.io.encode_png(image).numpy() for image in given]
answers = {
    "serving_default": served.signatures["serving_default"](image=tf.constant(given)),
    "serving_float": served.signatures["serving_float"](image=tf.constant(given, tf.float32)),
    "serving_bytes": served.signatures["serving_bytes"](image_bytes=tf.constant(pngs)),
}
assert sys.modules["keras"] is sys.modules["services"] is None
np.savez(sys.argv[3], **{f"{name}-{key}": value.numpy() for name, told in answers.items() for key, value in told.items()})
"""


@pytest.fixture(scope="module")
def house(weed: S3Server, tmp_path_factory: pytest.TempPathFactory) -> ExportHouse:
    return ExportHouse(weed.store(), "711", tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def exported(house: ExportHouse) -> ExportResult:
    report = {
        "gate": {"verdict": "go", "rules": [{"sentence": "difficult: 91 % are right"}]},
        "sets": [{"name": "test", "images": 60, "accuracy": 0.95, "f1_macro": 0.94, "log_loss": 0.2,
                  "most_confused": [{"truth": "down", "predicted": "across", "images": 2, "share_of_truth": 0.1}]}],
    }  # fmt: skip
    ref = house.store.put(Buckets.REPORTS, "711/report.json", json.dumps(report).encode())
    return export(house.store, house.export_spec(report=ref), KEY)


@pytest.fixture(scope="module")
def folder(house: ExportHouse, exported: ExportResult) -> Path:
    """The export as its manifest lists it, every file by its digest."""
    return fetched(house.store, exported, house.folder / "fetched")


def manifest_of(store: ObjectStore, exported: ExportResult) -> ExportManifest:
    return ExportManifest.model_validate_json(store.get(exported.manifest))


def fetched(store: ObjectStore, exported: ExportResult, folder: Path) -> Path:
    manifest = manifest_of(store, exported)
    for file in manifest.files:
        key = f"{manifest.model_version}/{file.path}"
        ref = ObjectRef(bucket=Buckets.MODELS, key=key, size=file.size, sha256=file.sha256)
        store.get_file(ref, folder / file.path)
    return folder


def test_an_export_holds_all_that_a_server_and_a_person_need(
    house: ExportHouse, exported: ExportResult, folder: Path
) -> None:
    manifest = manifest_of(house.store, exported)
    served = {"saved_model.pb", "fingerprint.pb", str(PLACE)}
    served |= {"variables/variables.index", "variables/variables.data-00000-of-00001"}
    assert {file.path for file in manifest.files} == {f"711/{name}" for name in served} | {
        MODEL_FILE, "model.tflite", "labels.json", "dataset.parquet", "dataset.json", "evaluation.json",
        "history.json", "curves.png", "log.txt", "README.md",
    }  # fmt: skip
    # As the run left them, under the names of an export.
    assert (folder / "dataset.json").read_text() == "summary.json"
    assert (folder / "curves.png").read_text() == "curves.png"
    assert (folder / "log.txt").read_text() == "log.txt"
    assert len(read_dataset((folder / "dataset.parquet").read_bytes())) == len(house.library.rows)
    assert json.loads((folder / "evaluation.json").read_bytes())["gate"]["verdict"] == "go"
    assert exported.manifest.key == "711/export.json"
    assert (manifest.network, manifest.classes, manifest.image_size_px) == ("small_cnn", CLASSES, SIZE_PX)
    assert json.loads((folder / "labels.json").read_text()) == dict(zip("012", CLASSES, strict=True))


def test_a_saved_model_says_in_a_bare_environment_what_the_keras_file_says(
    house: ExportHouse, folder: Path, tmp_path: Path
) -> None:
    images, _ = house.library.side("test")
    given, told = tmp_path / "given.npy", tmp_path / "told.npz"
    np.save(given, images[:20])
    command = [sys.executable, "-I", "-c", BARE, str(folder / "711"), str(given), str(told)]
    subprocess.run(command, check=True, cwd=tmp_path)
    answers = np.load(told, allow_pickle=True)
    expected = archive.load(folder / MODEL_FILE).predict_on_batch(images[:20])
    best = [CLASSES[index] for index in expected.argmax(axis=1)]
    for signature in ("serving_default", "serving_float", "serving_bytes"):
        np.testing.assert_allclose(answers[f"{signature}-scores"], expected, atol=1e-6)
        assert [name.decode() for name in answers[f"{signature}-classes"][:, 0]] == best


def test_the_litert_file_says_the_same_too(house: ExportHouse, folder: Path) -> None:
    images, _ = house.library.side("test")
    expected = archive.load(folder / MODEL_FILE).predict_on_batch(images[:5])
    model = LiteModel((folder / "model.tflite").read_bytes(), 1)
    np.testing.assert_allclose([model.scores(image) for image in images[:5]], expected, atol=1e-5)


def test_every_signature_has_a_warm_up_request_that_it_answers(folder: Path) -> None:
    served = tf.saved_model.load(str(folder / "711"))
    played = []
    made = messages()["PredictionLog"]
    for record in tf.data.TFRecordDataset(str(folder / "711" / PLACE)):
        request = made.FromString(record.numpy()).predict_log.request
        inputs = {
            name: tf.constant(tf.make_ndarray(tensor_pb2.TensorProto.FromString(value.SerializeToString())))
            for name, value in request.inputs.items()
        }
        answer = served.signatures[request.model_spec.signature_name](**inputs)
        assert answer["scores"].shape == (1, len(CLASSES))
        played.append(request.model_spec.signature_name)
    assert played == ["serving_default", "serving_float", "serving_bytes"]


def test_the_model_card_tells_the_facts_and_no_class_name_breaks_its_tables(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    assert "# Model 711" in card
    assert "| spot\\|ted | 40 | 8 | 20 | 0 | 68 | 0 | 0 |" in card
    assert "| test | 60 | 95.0 % | 0.940 | 0.200 | - | - |" in card
    assert "On the test set 2 of down (10.0 %) were taken for across." in card
    assert "Gate: **go**" in card
    assert "a small\\_cnn of random weights" in card


def test_the_manifest_is_signed_by_our_key_and_by_no_other(
    house: ExportHouse, exported: ExportResult
) -> None:
    body = house.store.get(exported.manifest)
    text = b"".join(house.store.stream(Buckets.MODELS, "711/export.sig"))
    signature = ExportSignature.model_validate_json(text)
    signing.check(body, signature, signing.public_key_of(KEY))
    with pytest.raises(signing.SignatureRefused, match="by the key"):
        signing.check(body, signature, signing.public_key_of("22" * 32))
    with pytest.raises(signing.SignatureRefused):
        signing.check(body.replace(b"small_cnn", b"large_cnn"), signature, signing.public_key_of(KEY))


def test_a_changed_file_is_refused_and_the_next_export_makes_it_good(weed: S3Server, tmp_path: Path) -> None:
    house = ExportHouse(weed.store(), "712", tmp_path)
    spec = house.export_spec
    first = export(house.store, spec(), KEY)
    assert export(house.store, spec(), KEY) == first  # it stands, and is not written over
    house.store.put(Buckets.MODELS, "712/labels.json", b"{}")
    house.store.put(Buckets.MODELS, "712/left-behind", b"{}")
    house.store.put(Buckets.MODELS, "712/variants/int8/x.tflite", b"{}")
    with pytest.raises(ObjectDamaged):
        fetched(house.store, first, tmp_path / "damaged")
    second = export(house.store, spec(), KEY)
    fetched(house.store, second, tmp_path / "mended")
    with pytest.raises(signing.SignatureRefused, match="a key has 64 hexadecimal digits"):
        export(house.store, spec(), "no key")
    assert house.store.get(second.manifest)  # a wrong setting takes no export away
    keys = set(house.store.list(Buckets.MODELS, "712/"))
    assert "712/left-behind" not in keys
    assert "712/variants/int8/x.tflite" in keys


class Cut(Exception):
    """The process dies here."""


class MortalStore:
    """Goes on for so many writes, then is gone: as a killed export leaves the store."""

    def __init__(self, store: ObjectStore, writes: int) -> None:
        self._store, self._left = store, writes

    def __getattr__(self, name: str) -> Any:
        called: Callable[..., Any] = getattr(self._store, name)
        if name not in {"put", "put_file", "remove"}:
            return called

        def count(*arguments: Any, **options: Any) -> Any:
            if self._left == 0:
                raise Cut
            self._left -= 1
            return called(*arguments, **options)

        return count


def made_once(write: Callable[..., None], kept: Path) -> Callable[..., None]:
    """``write``, whose files are copied from the second time on: only the storing is under test."""

    def writing(store: Any, spec: Any, folder: Path) -> None:
        if not kept.exists():
            write(store, spec, kept)
        shutil.copytree(kept, folder)

    return writing


def test_an_export_cut_off_after_any_write_shows_nothing_and_the_next_one_completes_it(
    weed: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = ExportHouse(weed.store(), "713", tmp_path)
    monkeypatch.setattr(export_files, "write_files", made_once(export_files.write_files, tmp_path / "files"))
    graph = house.store.put(Buckets.MODELS, "713/713/saved_model.pb", b"of another export")
    writes = 0
    while True:
        mortal: Any = MortalStore(house.store, writes)
        try:
            done = export(mortal, house.export_spec(), KEY)
        except Cut:
            assert not house.store.exists(Buckets.MODELS, "713/export.json"), writes
            if writes >= 2:  # no server finds the old graph beside new variables
                with pytest.raises((ObjectMissing, ObjectDamaged)):
                    house.store.get(graph)
            writes += 1
        else:
            break
    assert writes >= 12
    fetched(house.store, done, tmp_path / "whole")


def saved_with_a_lambda(folder: Path) -> bytes:
    """As Keras itself writes one, bytecode and all."""
    pixels = keras.Input((SIZE_PX, SIZE_PX, 3))
    flat = keras.layers.Flatten()(keras.layers.Lambda(lambda x: x / 255)(pixels))
    path = folder / "lambda.keras"
    keras.Model(pixels, keras.layers.Dense(len(CLASSES), activation="softmax")(flat)).save(path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["tampered", "saved"])
def test_a_model_with_a_lambda_layer_is_not_exported(house: ExportHouse, tmp_path: Path, kind: str) -> None:
    whole = house.store.get(house.trained.model)
    bad = with_lambda(whole) if kind == "tampered" else saved_with_a_lambda(tmp_path)
    ref = house.store.put(Buckets.MODELS, "714/bad.keras", bad)
    trained = house.trained.model_copy(update={"model": ref, "model_version": "714"})
    with pytest.raises(ModelRefused, match="has a Lambda, which runs bytecode"):
        export(house.store, house.export_spec(trained=trained), KEY)
    assert not house.store.exists(Buckets.MODELS, "714/export.json")
