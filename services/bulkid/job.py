"""The identifying child: ``python -m services.bulkid.job``. Writes the pages as a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from contracts.events import ModelExported
from contracts.manifests import SNAPSHOT_COLUMNS
from contracts.values import ObjectRef
from services.bulkid.domain.candidates import ScoresRefused, best
from services.bulkid.domain.runs import CANDIDATES, page_results
from services.bulkid.domain.selection import unlabelled
from services.bulkid.settings import BulkidSettings
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused, refuse_code
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import ManifestDamaged, Row, fetch_images, read_manifest

Tell = Callable[[dict[str, Any]], None]
Top = list[list[Any]]
"""Candidates of one image, best first: [label, confidence]."""

TELLINGS = 10
"""Progress messages of one run."""


def work(spec: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Identify the unlabelled images of the manifest; one line of ``spec["pages"]`` is one page."""
    store = ObjectStore(BulkidSettings())
    exported = ModelExported.model_validate(spec["model"])
    manifest = store.get(ObjectRef.model_validate(spec["manifest"]))
    pages = Path(spec["pages"])
    try:
        rows = unlabelled(read_manifest(manifest, SNAPSHOT_COLUMNS))
        tops = identify(store, exported, rows, pages.parent, tell) if rows else {}
    except (ManifestDamaged, ModelRefused, ScoresRefused) as error:
        remedy = "Pack the snapshot or export the model again; if it happens again, report a bug."
        raise ChildFailed(str(error), remedy) from error
    ordered = [[row["image_id"], tops[row["image_id"]]] for row in rows]
    with pages.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(page) + "\n" for page in split(ordered, page_results(exported.classes)))
    return {"identified": len(ordered)}


def identify(
    store: ObjectStore, exported: ModelExported, rows: Sequence[Row], scratch: Path, tell: Tell
) -> dict[str, Top]:
    """The best candidates by image id, of every row."""
    archive = scratch / "model.keras"
    store.get_file(exported.model, archive)
    refuse_code(archive)
    from services.networks.inference import of_file  # noqa: PLC0415 - seconds, spent only on what can be used

    network = of_file(archive, exported.image_size_px, len(exported.classes))
    order: list[str] = []
    tops: dict[str, Top] = {}

    def pngs() -> Iterator[bytes]:
        for row, png in fetch_images(store, rows):
            order.append(row["image_id"])
            yield png

    done = 0
    for scores in network.answers(pngs()):
        ids = order[done : done + len(scores)]
        for image_id, indices, values in zip(ids, *best(scores, CANDIDATES), strict=True):
            tops[image_id] = [
                [exported.classes[index], value]
                for index, value in zip(indices.tolist(), values.tolist(), strict=True)
            ]
        if (done + len(ids)) * TELLINGS // len(rows) > done * TELLINGS // len(rows):
            tell({"identified": done + len(ids), "of": len(rows)})
        done += len(ids)
    return tops


def split(results: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Pages of ``size`` results, the last one smaller."""
    for first in range(0, len(results), size):
        yield results[first : first + size]


if __name__ == "__main__":
    child_main(work)
