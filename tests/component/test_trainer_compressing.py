"""Smaller variants of a model: made, stored and measured on its own test pictures."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest

from contracts.events import CompressedVariant
from contracts.values import Side
from services.networks import archive
from services.trainer.compressing import compress, measured_rows
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.export_specs import CompressResult
from services.trainer.fitting.manifest import read_dataset
from services.trainer.fitting.measuring import LiteModel
from services.trainer.fitting.variants import CALIBRATION_IMAGES, calibration_rows
from services.trainer.settings import TrainerSettings
from tests.support.export_house import CLASSES, SIDES, ExportHouse
from tests.support.servers import S3Server

pytestmark = [pytest.mark.integration, pytest.mark.models]


def settings_of(weed: S3Server, folder: Path) -> TrainerSettings:
    reach = weed.settings
    return TrainerSettings(
        s3_endpoint=reach.s3_endpoint, s3_access_key=reach.s3_access_key, s3_secret_key=reach.s3_secret_key,
        work_dir=folder / "work", training_threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def house(weed: S3Server, tmp_path_factory: pytest.TempPathFactory) -> ExportHouse:
    return ExportHouse(weed.store(), "701", tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def done(house: ExportHouse, weed: S3Server) -> CompressResult:
    """Every variant, made once for all tests here."""
    return compress(
        house.store, house.compress_spec(prune_share=0.5, prune_epochs=3), settings_of(weed, house.folder)
    )


@pytest.fixture
def variants(done: CompressResult) -> dict[str, CompressedVariant]:
    return {variant.name: variant for variant in done.variants}


def file_of(house: ExportHouse, variant: CompressedVariant) -> bytes:
    content = house.store.get(variant.file)
    return gzip.decompress(content) if variant.name == "pruned" else content


def test_each_variant_is_smaller_and_nearly_as_good_as_the_whole_model(
    done: CompressResult, variants: dict[str, CompressedVariant]
) -> None:
    assert list(variants) == ["litert", "float16", "dynamic-range", "int8", "pruned"]
    assert (done.measured_on, done.images) == ("test", SIDES["test"] * len(CLASSES))
    assert done.accuracy > 0.8
    whole = variants["litert"]
    assert (whole.size_ratio, whole.speed_ratio, whole.agreement) == (1.0, 1.0, 1.0)
    for name, most in {"float16": 0.6, "dynamic-range": 0.4, "int8": 0.5, "pruned": 0.7}.items():
        assert variants[name].size_ratio < most, name
        assert abs(variants[name].accuracy_delta) <= 0.1, name
        assert variants[name].accuracy_delta == pytest.approx(variants[name].accuracy - done.accuracy)
        assert variants[name].agreement >= 0.9, name


def test_what_is_told_of_a_variant_is_what_its_file_does(
    house: ExportHouse, variants: dict[str, CompressedVariant]
) -> None:
    images, classes = house.library.side("test")
    for variant in variants.values():
        model = LiteModel(file_of(house, variant), 1)
        answers = np.array([model.scores(image).argmax() for image in images])
        assert float((answers == classes).mean()) == pytest.approx(variant.accuracy), variant.name


def test_variants_lie_beside_the_model_by_their_content(variants: dict[str, CompressedVariant]) -> None:
    for name, variant in variants.items():
        suffix = ".tflite.gz" if name == "pruned" else ".tflite"
        assert variant.file.key == f"701/variants/{name}/{variant.file.sha256[:16]}{suffix}"


def test_half_of_the_prunable_weights_are_0_in_the_pruned_file(
    house: ExportHouse, variants: dict[str, CompressedVariant]
) -> None:
    note = str(variants["pruned"].note)
    assert "(50.0 %" in note
    zeros = int(note.split(" of ", maxsplit=1)[0])
    content = np.frombuffer(file_of(house, variants["pruned"]), np.uint8)
    whole = np.frombuffer(house.store.get(variants["litert"].file), np.uint8)
    assert (content == 0).sum() - (whole == 0).sum() > 3 * zeros  # four bytes each, of float32


def test_a_model_without_test_pictures_is_measured_on_its_validation_pictures_and_says_so(
    weed: S3Server, tmp_path: Path
) -> None:
    house = ExportHouse(weed.store(), "702", tmp_path, {"train": 12, "validation": 5})
    spec = house.compress_spec(float16=False, dynamic_range=False, int8=False)
    result = compress(house.store, spec, settings_of(weed, tmp_path))
    assert (result.measured_on, result.images) == ("validation", 15)
    assert [variant.name for variant in result.variants] == ["litert"]


def test_measured_pictures_are_of_trained_classes_no_more_than_asked_for_and_never_trained_on(
    house: ExportHouse,
) -> None:
    rows = read_dataset(house.store.get(house.trained.dataset))
    _, chosen = measured_rows(rows, 7)
    assert len(chosen) == 7
    assert all(row.side is Side.TEST for row in chosen)
    strangers = [row.model_copy(update={"class_index": -1}) for row in rows]
    with pytest.raises(TrainingError, match="neither a test nor a validation image"):
        measured_rows(strangers, 7)


def test_calibration_shows_every_class_in_turn(house: ExportHouse) -> None:
    rows = read_dataset(house.store.get(house.trained.dataset))
    chosen = calibration_rows(rows)
    assert len(chosen) == CALIBRATION_IMAGES
    assert [row.class_index for row in chosen[:6]] == [0, 1, 2, 0, 1, 2]
    assert all(row.side is Side.TRAIN for row in chosen)


def test_the_model_itself_is_not_touched(house: ExportHouse, done: CompressResult, tmp_path: Path) -> None:
    content = house.store.get(house.trained.model)  # refuses changed bytes
    assert hashlib.sha256(content).hexdigest() == house.trained.model.sha256
    (tmp_path / "model.keras").write_bytes(content)
    assert archive.load(tmp_path / "model.keras", classes=3)
