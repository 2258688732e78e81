"""What a run starts from: its data set, and its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras

from contracts.manifests import DatasetRow, SnapshotRow
from services.networks import archive, build
from services.runtime.objectstore import ObjectStore
from services.trainer.domain.classes import classes_trained_as
from services.trainer.domain.dataset import build_dataset
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.specs import Base, TrainSpec
from services.trainer.domain.summary import check_trainable, classes_of
from services.trainer.domain.table import Table
from services.trainer.fitting.datasets import Packed, fetch_dataset, fetch_seen, fetch_snapshot


def snapshot_rows(store: ObjectStore, spec: TrainSpec) -> Table[SnapshotRow]:
    """The snapshot, with the classes that the run asks for.

    Raises:
        TrainingError: the snapshot does not know that version of the taxonomy.
    """
    packed = Packed(spec.snapshot, spec.taxonomy, spec.packed_version)
    return fetch_snapshot(store, packed, spec.taxonomy_version)


def dataset_rows(store: ObjectStore, spec: TrainSpec, snapshot: Table[SnapshotRow]) -> Table[DatasetRow]:
    """The data set, kept apart from whatever an ancestor learned from.

    Raises:
        TrainingError: fewer than two classes have enough images.
    """
    rows = build_dataset(snapshot, spec.rules, fetch_seen(store, spec.ancestors))
    names = zip(snapshot.column("label"), classes_trained_as(snapshot), strict=True)
    check_trainable(rows, spec.rules, {label: name for label, name in names if label and name})
    return rows


def network(
    store: ObjectStore, spec: TrainSpec, classes: Sequence[str], weights_folder: Path | None
) -> keras.Model:
    """Random or pretrained weights, or the base under a new output layer (domain.md section 4).

    Raises:
        TrainingError: the base is another network.
        ModelRefused: it takes another size, or brings code.
        NetworkRefused: there is no such network, or it cannot be had as asked.
    """
    options = spec.options
    if spec.base is None:
        return build.build(
            options.network, spec.image_size_px, len(classes),
            weights=options.weights, weights_folder=weights_folder,
            dropout=options.dropout, l1=options.l1, l2=options.l2,
        )  # fmt: skip
    model = _base(store, spec, spec.base)
    kept = _kept_rows(store, spec, classes) if options.keep_output_rows else None
    return build.replace_output(
        model, len(classes), kept=kept, dropout=options.dropout, l1=options.l1, l2=options.l2
    )


def _base(store: ObjectStore, spec: TrainSpec, base: Base) -> keras.Model:
    named = f"model {base.version}"
    if base.network != spec.options.network:
        raise TrainingError(
            f"{named} is a {base.network}, the request asks for {spec.options.network}",
            f"set options.network to {base.network}, or base to scratch",
        )
    path = Path(spec.scratch) / "base.keras"
    store.get_file(base.model, path)
    model = archive.load(path)
    size = model.inputs[0].shape[1]
    if size != spec.image_size_px:
        raise TrainingError(
            f"{named} takes {size} px images, the snapshot has {spec.image_size_px} px", "set base to scratch"
        )
    return model


def _kept_rows(store: ObjectStore, spec: TrainSpec, classes: Sequence[str]) -> Mapping[int, int]:
    """New class index -> the base's, of classes that both have."""
    known = {name: index for index, name in enumerate(classes_of(fetch_dataset(store, spec.ancestors[0])))}
    return {index: known[name] for index, name in enumerate(classes) if name in known}
