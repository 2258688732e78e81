"""The training child's refusals and faults, in this process, on a real object store."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import pytest

from contracts.training import DatasetRules, TrainOptions
from contracts.values import ObjectRef
from services.networks import archive
from services.runtime.child import ChildFailed
from services.runtime.objectstore import ObjectDamaged, ObjectStore
from services.trainer.domain.specs import Base, Outcome, TrainSpec
from services.trainer.job import work
from services.trainer.runs.training import Run
from tests.support.digit_library import DigitLibrary
from tests.support.servers import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.models]


class Job:
    """One run on the test's store; ``change`` says what is different from a good one."""

    def __init__(self, store: ObjectStore, name: str, scratch: Path) -> None:
        self.store = store
        self.name = name
        self.scratch = scratch

    def run(self, count: int = 6, **change: Any) -> Outcome:
        packed = DigitLibrary(self.store, self.name, "01", count).packed()
        spec = TrainSpec.model_validate({
            "run_id": self.name, "snapshot": packed.manifest, "image_size_px": packed.image_size_px,
            "base": None, "ancestors": (), "rules": DatasetRules(minimum_per_class=5),
            "options": TrainOptions(epochs=1, batch_size=4), "scratch": str(self.scratch),
        } | change)  # fmt: skip
        return Outcome.model_validate(work(spec.model_dump(mode="json"), lambda progress: None))

    def base(self, data: bytes, network: str = "small_cnn") -> Base:
        return Base(version="001", network=network, model=self.store.put("models", f"{self.name}/base", data))


@pytest.fixture
def job(
    weed: S3Server, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Job:
    for name, value in weed.settings.child_env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MENAGERIE_WORK_DIR", str(tmp_path / "work"))
    return Job(weed.store(), hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16], tmp_path)


def plain_archive(size_px: int = 28, name: str = "relu") -> bytes:
    """A model that takes ``size_px``, whose activation layer has that name."""
    pixels = keras.Input((size_px, size_px, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Activation("relu", name=name)(pixels))
    model = keras.Model(pixels, keras.layers.Dense(2, activation="softmax", name="scores")(x))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        archive.save(model, path)
        return path.read_bytes()


def lambda_archive() -> bytes:
    """The activation of a good archive, turned into a Lambda."""
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain_archive())) as good, zipfile.ZipFile(held, "w") as bad:
        for name in good.namelist():
            data = good.read(name)
            if name == "config.json":
                config = json.loads(data)
                for layer in config["config"]["layers"]:
                    if layer["class_name"] == "Activation":
                        layer |= {"class_name": "Lambda", "config": {"name": "relu", "function": "x"}}
                data = json.dumps(config).encode()
            bad.writestr(name, data)
    return held.getvalue()


def test_a_base_with_a_lambda_layer_is_refused(job: Job) -> None:
    with pytest.raises(ChildFailed, match="the model has a Lambda, which runs bytecode"):
        job.run(base=job.base(lambda_archive()))


def test_a_base_whose_bytes_changed_is_not_loaded(job: Job) -> None:
    base = job.base(plain_archive())
    job.store.put(base.model.bucket, base.model.key, plain_archive(name="other"))
    with pytest.raises(ObjectDamaged):
        job.store.get(base.model)
    outcome = job.run(base=base)
    assert outcome.train is None
    assert "ObjectDamaged" in str(outcome.fault)


def test_a_base_of_another_network_or_size_is_refused_with_a_remedy(job: Job) -> None:
    with pytest.raises(ChildFailed, match="model 001 is a resnet, the request asks for small_cnn"):
        job.run(base=job.base(plain_archive(), network="resnet"))
    with pytest.raises(ChildFailed, match="model 001 takes 16 px images, the snapshot has 28 px") as caught:
        job.run(base=job.base(plain_archive(16)))
    assert caught.value.remedy == "set base to scratch"


def test_an_unknown_network_is_refused_with_the_names_of_the_known(job: Job) -> None:
    with pytest.raises(ChildFailed, match="network 'resnet' is not known") as caught:
        job.run(options=TrainOptions(network="resnet"))
    assert caught.value.remedy == (
        "set options.network to one of: efficientnet_lite0, inception_v4, small_cnn, "
        "or a network of keras.applications; nearest: ResNet50, ResNet152, ResNet101"
    )


def test_pictures_of_another_size_than_the_snapshot_says_are_refused(job: Job) -> None:
    with pytest.raises(ChildFailed, match="is 28 x 28 px, the snapshot says 32 px"):
        job.run(image_size_px=32)


def test_a_missing_object_is_a_fault_that_is_worth_another_try(job: Job) -> None:
    gone = ObjectRef(bucket="snapshots", key=f"{job.name}/gone.parquet", size=1, sha256="0" * 64)
    assert "ObjectMissing: snapshots/" in str(job.run(snapshot=gone).fault)


def test_an_error_of_the_trainer_itself_stands_in_the_log(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_run: Run) -> Outcome:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(Run, "result", broken)
    with pytest.raises(RuntimeError):
        job.run()
    (part,) = job.store.list("models", f"runs/{job.name}/log/")
    assert b"an error of the trainer itself: RuntimeError('a mistake of ours')" in b"".join(
        job.store.stream("models", part)
    )


def test_a_snapshot_manifest_that_is_no_parquet_ends_the_run(job: Job) -> None:
    text = job.store.put("snapshots", f"{job.name}/text.parquet", b"no parquet")
    with pytest.raises(ChildFailed, match="not readable Parquet"):
        job.run(snapshot=text)
