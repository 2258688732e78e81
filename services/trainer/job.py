"""The training child: ``python -m services.trainer.job``. Data set, network, fit, artefacts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from contracts.manifests import Buckets, DatasetRow, Epoch, History, SnapshotRow
from contracts.taxonomy import Taxonomy
from contracts.values import ImageId, Side
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import ManifestDamaged, MemberDamaged
from services.trainer.domain.classes import under_version
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.specs import EpochReport, Outcome, TrainResult, TrainSpec
from services.trainer.domain.summary import check_trainable, classes_of, counts_of
from services.trainer.fitting import archive, networks
from services.trainer.fitting.faults import STORE_FAULTS, out_of_memory
from services.trainer.fitting.images import load_examples
from services.trainer.fitting.loop import Examples, Fit, fit
from services.trainer.fitting.manifest import read_dataset, read_snapshot, read_taxonomy, write_dataset
from services.trainer.settings import TrainerSettings

Tell = Callable[[dict[str, Any]], None]


def work(spec: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Train what ``spec`` asks for; the outcome as JSON."""
    asked = TrainSpec.model_validate(spec)
    try:
        outcome = Outcome(train=train(ObjectStore(TrainerSettings()), asked, tell))
    except TrainingError as error:
        raise ChildFailed(error.error, error.remedy) from error
    except (ManifestDamaged, MemberDamaged, ModelRefused) as error:
        remedy = "pack a new snapshot, or start from another base, and train again"
        raise ChildFailed(str(error), remedy) from error
    except STORE_FAULTS as error:
        outcome = Outcome(fault=f"{type(error).__name__}: {error}")
    except Exception as error:
        if not out_of_memory(error):
            raise
        remedy = f"lower options.batch_size (now {asked.options.batch_size})"
        raise ChildFailed(f"memory ran out: {str(error)[:500]}", remedy) from error
    return outcome.model_dump(mode="json")


def train(store: ObjectStore, spec: TrainSpec, tell: Tell) -> TrainResult:
    """The whole run; every artefact is stored under ``runs/<run_id>/``."""
    snapshot = snapshot_rows(store, spec)
    rows = build(store, spec, snapshot)
    check_trainable(
        rows, spec.rules, {row.label: row.class_name for row in snapshot if row.label and row.class_name}
    )
    classes = classes_of(rows)
    make_deterministic(spec.options.seed)
    model = start(store, spec, len(classes))
    examples = {
        side: load_examples(store, [row for row in rows if row.side is side], spec.image_size_px)
        for side in (Side.TRAIN, Side.VALIDATION)
    }
    done = fit(
        model, examples[Side.TRAIN], examples[Side.VALIDATION], spec.options,
        lambda epoch: tell(_report(epoch, spec, examples[Side.TRAIN]).model_dump(mode="json")),
    )  # fmt: skip
    return _store_run(store, spec, model, rows, done)


def snapshot_rows(store: ObjectStore, spec: TrainSpec) -> list[SnapshotRow]:
    """The snapshot, with the classes that the run asks for.

    Raises:
        TrainingError: the snapshot does not know that version of the taxonomy.
    """
    rows = read_snapshot(store.get(spec.snapshot))
    if spec.taxonomy_version is None:
        return rows
    document = None if spec.taxonomy is None else store.get(spec.taxonomy)
    taxonomy = Taxonomy() if document is None else read_taxonomy(document)
    return under_version(rows, taxonomy, spec.packed_version, spec.taxonomy_version)


def build(store: ObjectStore, spec: TrainSpec, snapshot: Sequence[SnapshotRow]) -> list[DatasetRow]:
    """The data set, kept apart from whatever an ancestor learned from."""
    seen: dict[Side, set[ImageId]] = {Side.TRAIN: set(), Side.VALIDATION: set()}
    for ancestor in spec.ancestors:
        for row in read_dataset(store.get(ancestor)):
            if row.side in seen:
                seen[row.side].add(row.image_id)
    return build_dataset(snapshot, spec.rules, seen[Side.TRAIN], seen[Side.VALIDATION])


def start(store: ObjectStore, spec: TrainSpec, classes: int) -> keras.Model:
    """Random weights, or the base under a new output layer (domain.md section 4).

    Raises:
        TrainingError: the base is another network, or takes another size.
    """
    if spec.base is None:
        return networks.build(spec.options.network, spec.image_size_px, classes)
    named = f"model {spec.base.version}"
    if spec.base.network != spec.options.network:
        raise TrainingError(
            f"{named} is a {spec.base.network}, the request asks for {spec.options.network}",
            f"set options.network to {spec.base.network}, or base to scratch",
        )
    base = archive.load(store, spec.base.model, Path(spec.scratch))
    size = base.inputs[0].shape[1]
    if size != spec.image_size_px:
        raise TrainingError(
            f"{named} takes {size} px images, the snapshot has {spec.image_size_px} px", "set base to scratch"
        )
    return networks.replace_output(base, classes)


def make_deterministic(seed: int) -> None:
    """The same seed gives the same weights, on one machine with one number of threads."""
    keras.utils.set_random_seed(seed % 2**32)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415 - only where it is the backend

        tf.config.experimental.enable_op_determinism()


def _report(epoch: Epoch, spec: TrainSpec, train: Examples) -> EpochReport:
    seconds = max(epoch.seconds, 1e-6)
    return EpochReport(
        **epoch.model_dump(exclude={"seconds"}), epochs=spec.options.epochs,
        images_per_s=len(train) / seconds, eta_s=(spec.options.epochs - epoch.epoch) * seconds,
    )  # fmt: skip


def _store_run(
    store: ObjectStore, spec: TrainSpec, model: keras.Model, rows: list[DatasetRow], done: Fit
) -> TrainResult:
    prefix = f"runs/{spec.run_id}"
    path = Path(spec.scratch) / "model.keras"
    archive.save(model, path)
    history = History(
        run_id=spec.run_id, base_version=spec.base.version if spec.base else None, epochs=done.epochs
    )
    curve = history.model_dump_json(indent=1).encode()
    return TrainResult(
        network=spec.options.network,
        classes=classes_of(rows),
        images=counts_of(rows),
        model=store.put_file(Buckets.MODELS, f"{prefix}/model.keras", path),
        dataset=store.put(Buckets.MODELS, f"{prefix}/dataset.parquet", write_dataset(rows)),
        history=store.put(Buckets.MODELS, f"{prefix}/history.json", curve, "application/json"),
        epochs=len(done.epochs),
        best_epoch=done.best_epoch,
        best_val_accuracy=done.epochs[done.best_epoch - 1].val_accuracy,
    )


if __name__ == "__main__":
    child_main(work)
