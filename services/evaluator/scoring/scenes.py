"""Which images are scored, in which order, and what counts as right: read from the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.events import ModelTrained
from contracts.manifests import DATASET_COLUMNS, SNAPSHOT_COLUMNS
from contracts.values import LabelKind, ObjectRef
from services.evaluator.domain.sets import OUT_OF_SCOPE, SCORED_SIDES, set_name
from services.evaluator.domain.taxonomy import (
    Fold,
    class_under,
    fold_under,
    labels_by_class,
    truth_under,
    unfolded,
)
from services.evaluator.scoring.specs import Under
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import ManifestDamaged, Row, read_manifest

FORMAT = 1
"""Of the matrix: another order of the rows, or other sums, need another number."""
KIND_COLUMNS = {
    name: SNAPSHOT_COLUMNS[name] for name in ("image_id", "label_kind", "shard", "offset", "size")
}
"""The places are looked at by whoever reads a manifest."""


@dataclass(frozen=True)
class Scene:
    """The rows that are scored, in manifest order; their ``class_index`` is a column of ``fold``."""

    model: ModelTrained
    dataset: ObjectRef
    rows: list[Row]
    fold: Fold

    @property
    def order(self) -> list[int]:
        """Positions of the rows in the order in which their images lie in the shards."""
        place = [(row["shard"], row["offset"]) for row in self.rows]
        return sorted(range(len(place)), key=place.__getitem__)

    @property
    def unknown_classes(self) -> tuple[str, ...]:
        """Classes of the images that the model does not know."""
        known = self.fold.column_of()
        shown = {row["class_name"] for row in self.rows if set_name(row) != OUT_OF_SCOPE}
        return tuple(sorted(name for name in shown if name is not None and name not in known))

    def matrix(self, precision: str) -> dict[str, str | int]:
        """What the matrix depends on: the same of these gives the same bytes, on one machine."""
        images = hashlib.sha256("".join(str(row["image_id"]) for row in self.rows).encode())
        of_class = hashlib.sha256(repr(self.fold.of_class).encode())
        return {
            "format": FORMAT, "model": self.model.model.sha256, "dataset": self.dataset.sha256,
            "images": images.hexdigest(), "classes": of_class.hexdigest(), "precision": precision,
        }  # fmt: skip

    def matrix_id(self, precision: str) -> str:
        """The same in short."""
        return hashlib.sha256(json.dumps(self.matrix(precision), sort_keys=True).encode()).hexdigest()


def scene_of(store: ObjectStore, model: ModelTrained, under: Under | None) -> Scene:
    """The model's own data set and classes, or those of ``under``.

    Raises:
        ManifestDamaged: a manifest is unreadable, has nothing to score, or a class index outside its model.
    """
    own = read_manifest(store.get(model.dataset), DATASET_COLUMNS)
    if under is None:
        rows = _scored(own, len(model.classes))
        return Scene(model, model.dataset, rows, unfolded(model.classes))
    labels = labels_by_class(own, model.classes)
    packed = under.own.taxonomy_version
    fold = fold_under(under.taxonomy, under.version, model.classes, labels, packed)
    dataset = under.dataset_of.dataset
    if dataset != model.dataset:
        own = read_manifest(store.get(dataset), DATASET_COLUMNS)
    rows = _scored(own, len(under.dataset_of.classes))
    kinds = _kinds(store, under.shown.manifest)
    return Scene(model, dataset, [_under(row, kinds, under, fold.column_of()) for row in rows], fold)


def _scored(rows: list[Row], classes: int) -> list[Row]:
    """Rows of a data set that are scored, in manifest order."""
    rows = [row for row in rows if row["side"] in SCORED_SIDES]
    if not rows:
        raise ManifestDamaged("the data set has no image on any side, so there is nothing to score")
    for row in rows:
        if row["class_index"] is None or not -1 <= row["class_index"] < classes:
            raise ManifestDamaged(
                f"image {row['image_id']} has class {row['class_index']}; the model has {classes} classes"
            )
    return rows


def _kinds(store: ObjectStore, manifest: ObjectRef) -> dict[str, str | None]:
    """Kind of each image's label: a data set does not keep it, and only some labels are classes."""
    return {row["image_id"]: row["label_kind"] for row in read_manifest(store.get(manifest), KIND_COLUMNS)}


def _under(row: Row, kinds: Mapping[str, str | None], under: Under, column_of: Mapping[str, int]) -> Row:
    kind = kinds.get(row["image_id"], LabelKind.CLASS if row["class_name"] else None)
    packed = under.shown.taxonomy_version
    name = class_under(under.taxonomy, under.version, row["label"], kind == LabelKind.CLASS, packed)
    return row | {"class_name": name, "class_index": truth_under(name, column_of)}
