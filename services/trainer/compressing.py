"""The compressing child: ``python -m services.trainer.compressing``. Smaller variants, each measured."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from contracts.events import CompressedVariant
from contracts.manifests import Buckets, DatasetRow
from contracts.values import ObjectRef, Side
from services.networks import archive
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import ManifestDamaged, MemberDamaged
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.export_specs import CompressResult, CompressSpec
from services.trainer.domain.specs import Outcome
from services.trainer.fitting.determinism import make_deterministic
from services.trainer.fitting.faults import STORE_FAULTS
from services.trainer.fitting.feeding import Examples, limits_of, open_sides
from services.trainer.fitting.manifest import read_dataset
from services.trainer.fitting.measuring import Measured, accuracy_of, agreement_of, measure
from services.trainer.fitting.pruning import Pruned, prune
from services.trainer.fitting.scoring import predict
from services.trainer.fitting.variants import (
    Kind,
    calibration_rows,
    check_backend,
    to_litert,
)
from services.trainer.settings import TrainerSettings

WHOLE: Kind = "litert"
PRUNED: Literal["pruned"] = "pruned"
GZIP_LEVEL = 6
MeasuredOn = Literal["test", "validation"]


@dataclass(frozen=True)
class Material:
    """Images of a model's data set: to measure on, to train on, to calibrate with."""

    measured_on: MeasuredOn
    images: Examples
    train: Examples
    calibration: Any
    """uint8 [n, S, S, 3]"""


def work(spec: dict[str, Any], _tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Make the variants that ``spec`` asks for; the outcome as JSON."""
    settings = TrainerSettings()
    try:
        result = compress(ObjectStore(settings), CompressSpec.model_validate(spec), settings)
        outcome = Outcome(compress=result)
    except TrainingError as error:
        raise ChildFailed(error.error, error.remedy) from error
    except (ModelRefused, ManifestDamaged, MemberDamaged) as error:
        raise ChildFailed(str(error), "train the model again") from error
    except STORE_FAULTS as error:
        outcome = Outcome(fault=f"{type(error).__name__}: {error}")
    return outcome.model_dump(mode="json")


def compress(store: ObjectStore, spec: CompressSpec, settings: TrainerSettings) -> CompressResult:
    """Convert, prune, measure everything in one go beside the whole model, then store the files.

    Raises:
        TrainingError: there is nothing to measure on, or the network cannot be converted so.
    """
    check_backend()
    make_deterministic(spec.train_options.seed)
    path = Path(spec.scratch) / "model.keras"
    store.get_file(spec.trained.model, path)
    rows = read_dataset(store.get(spec.trained.dataset))
    with _material(store, spec, rows, settings) as material:
        files, pruned = _files(path, spec, material)
        whole = predict(_load(path, spec), material.images)
        measured = measure(files, material.images, settings.training_threads)
        classes = material.images.classes
    accuracy = accuracy_of(whole, classes)
    bases = {name: accuracy_of(one.scores, classes) for name, one in measured.items()}
    variants = []
    for name, content in files.items():
        packed = gzip.compress(content, GZIP_LEVEL, mtime=0) if name == PRUNED else content
        variants.append(
            CompressedVariant(
                name=name, file=_put(store, spec, name, packed), size_ratio=len(packed) / len(files[WHOLE]),
                accuracy=bases[name], accuracy_delta=bases[name] - accuracy,
                agreement=agreement_of(measured[name].scores, whole),
                images_per_s=measured[name].images_per_s, speed_ratio=_faster(measured, name),
                note=_note(files, pruned) if name == PRUNED and pruned else None,
            )
        )  # fmt: skip
    return CompressResult(
        images=len(classes), measured_on=material.measured_on, accuracy=accuracy, variants=tuple(variants)
    )


def _files(path: Path, spec: CompressSpec, material: Material) -> tuple[dict[Any, bytes], Pruned | None]:
    wanted: dict[Kind, bool] = {
        WHOLE: True, "float16": spec.options.float16, "dynamic-range": spec.options.dynamic_range,
        "int8": spec.options.int8,
    }  # fmt: skip
    model = _load(path, spec)
    files: dict[Any, bytes] = {
        kind: to_litert(model, kind, material.calibration) for kind, asked in wanted.items() if asked
    }
    if not spec.options.prune_share:
        return files, None
    smaller = _load(path, spec)
    pruned = prune(
        smaller, material.train, spec.train_options, spec.options.prune_share, spec.options.prune_epochs
    )
    files[PRUNED] = to_litert(smaller, WHOLE)
    return files, pruned


def _load(path: Path, spec: CompressSpec) -> keras.Model:
    return archive.load(path, image_size_px=spec.trained.image_size_px, classes=len(spec.trained.classes))


def _faster(measured: dict[Any, Measured], name: str) -> float:
    return measured[name].images_per_s / measured[WHOLE].images_per_s


def _note(files: dict[Any, bytes], pruned: Pruned) -> str:
    whole = len(gzip.compress(files[WHOLE], GZIP_LEVEL)) / len(files[WHOLE])
    return (
        f"{pruned.zeros} of {pruned.prunable} prunable weights are 0 ({100 * pruned.share:.1f} %; the model "
        f"has {pruned.weights} in all); packed by gzip, which takes the whole one to {whole:.2f}; "
        "no faster, because LiteRT multiplies zeros too"
    )


@contextmanager
def _material(
    store: ObjectStore, spec: CompressSpec, rows: Sequence[DatasetRow], settings: TrainerSettings
) -> Iterator[Material]:
    measured_on, measured = measured_rows(rows, settings.compression_images_max)
    shown = calibration_rows(rows)
    train = [row for row in rows if row.side is Side.TRAIN] if spec.options.prune_share else shown
    side = measured[0].side
    fetching = open_sides(
        store, [*measured, *train], spec.trained.image_size_px, settings.work_dir, limits_of(settings),
        sides=(side, Side.TRAIN),
    )  # fmt: skip
    with fetching as sides:
        place = {row.image_id: number for number, row in enumerate(train)}
        numbers = np.array([place[row.image_id] for row in shown], np.int64)
        calibration = sides[Side.TRAIN].pixels(numbers)
        yield Material(measured_on, sides[side], sides[Side.TRAIN], calibration)


def measured_rows(rows: Sequence[DatasetRow], most: int) -> tuple[MeasuredOn, list[DatasetRow]]:
    """Images of the test side whose class is trained; of the validation side when it has none.

    At most ``most``, the first by id, which is a digest and therefore no order at all.

    Raises:
        TrainingError: neither side has an image.
    """
    sides: tuple[tuple[MeasuredOn, Side], ...] = (("test", Side.TEST), ("validation", Side.VALIDATION))
    for name, side in sides:
        found = [row for row in rows if row.side is side and row.class_index >= 0]
        if found:
            return name, sorted(found, key=lambda row: row.image_id)[:most]
    raise TrainingError(
        "the model's data set has neither a test nor a validation image to measure variants on",
        "train with rules.validation_share above 0, or label more than rules.maximum_per_class",
    )


def _put(store: ObjectStore, spec: CompressSpec, name: str, content: bytes) -> ObjectRef:
    # By content: another request's variant of the same name stays what its event says it is.
    digest = hashlib.sha256(content).hexdigest()
    suffix = ".tflite.gz" if name == PRUNED else ".tflite"
    key = f"{spec.trained.model_version}/variants/{name}/{digest[:16]}{suffix}"
    return store.put(Buckets.MODELS, key, content)


if __name__ == "__main__":
    child_main(work)
