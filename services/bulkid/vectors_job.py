"""The child that computes similarity vectors: ``python -m services.bulkid.vectors_job``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contracts.events import ModelExported
from contracts.manifests import SNAPSHOT_COLUMNS, VECTOR_COLUMNS, Buckets
from contracts.values import ObjectRef
from services.bulkid.domain.features import FeaturesRefused
from services.bulkid.domain.vectors import vectors_key, without_vector
from services.bulkid.settings import BulkidSettings
from services.networks.lite0_weights import WeightsRefused
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused, refuse_code
from services.runtime.objectstore import ObjectStore
from services.runtime.shards import ManifestDamaged, Row, fetch_images, read_manifest

if TYPE_CHECKING:
    from services.bulkid.backbone.encoder import Encoder

Tell = Callable[[dict[str, Any]], None]

TELLINGS = 10
"""Progress messages of one run."""
ROWS_TOGETHER = 8192
"""Of a row group, which readers hold one at a time: 42 MB of the backbone's."""


def work(spec: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Put a file of the vectors that are missing, at most ``spec["most"]``, into the store.

    ``spec["known"]`` is a file of the images that have one already, a line each. Answers with the images
    looked at, the file, and how many are left over; one in which the encoder sees nothing gets no vector.
    """
    store = ObjectStore(BulkidSettings())
    scratch = Path(spec["scratch"])
    known = set((scratch / spec["known"]).read_text().splitlines())
    try:
        manifest = read_manifest(store.get(ObjectRef.model_validate(spec["manifest"])), SNAPSHOT_COLUMNS)
        missing = without_vector(manifest, known)
        rows = sorted(missing[: spec["most"]], key=lambda row: row["image_id"])
        if rows or spec["dimensions"] is None:
            vectors = encode(store, _encoder(store, spec, scratch), rows, tell)
        else:  # nothing to do, and TensorFlow takes seconds to say so
            vectors = np.empty((0, spec["dimensions"]), np.float32)
    except (ManifestDamaged, ModelRefused, WeightsRefused, FeaturesRefused) as error:
        remedy = "Pack the snapshot or export the model again; if it happens again, report a bug."
        raise ChildFailed(str(error), remedy) from error
    image_ids = [row["image_id"] for row in rows]
    seen = np.flatnonzero(vectors.any(axis=1))
    file = scratch / "vectors.parquet"
    digest = write(file, [image_ids[index] for index in seen], vectors[seen])
    key = vectors_key(spec["encoder"], spec["run_id"], digest)
    ref = store.put_file(Buckets.MODELS, key, file, "application/vnd.apache.parquet")
    return {
        "image_ids": image_ids,
        "images": len(seen),
        "dimensions": int(vectors.shape[1]),
        "vectors": ref.model_dump(mode="json"),
        "left_over": len(missing) - len(rows),
    }


def encode(store: ObjectStore, encoder: Encoder, rows: Sequence[Row], tell: Tell) -> NDArray[np.float32]:
    """Vectors [len(rows), dimensions] in the order of ``rows``."""
    vectors = np.empty((len(rows), encoder.dimensions), np.float32)
    place = {row["image_id"]: number for number, row in enumerate(rows)}
    order: list[int] = []

    def pngs() -> Iterator[bytes]:
        for row, png in fetch_images(store, rows):
            order.append(place[row["image_id"]])
            yield png

    done = 0
    for part in encoder.encode(pngs()):
        vectors[order[done : done + len(part)]] = part
        if (done + len(part)) * TELLINGS // len(rows) > done * TELLINGS // len(rows):
            tell({"computed": done + len(part), "of": len(rows)})
        done += len(part)
    return vectors


def write(file: Path, image_ids: Sequence[str], vectors: NDArray[np.float32]) -> str:
    """Write VECTOR_COLUMNS; the same vectors give the same bytes. Returns their SHA-256."""
    import pyarrow as pa  # noqa: PLC0415 - the parent has no use for it
    import pyarrow.parquet as pq  # noqa: PLC0415

    values = pa.array(np.ascontiguousarray(vectors).reshape(-1), pa.float32())
    columns = (pa.array(image_ids, pa.string()), pa.FixedSizeListArray.from_arrays(values, vectors.shape[1]))
    table = pa.Table.from_arrays(columns, names=list(VECTOR_COLUMNS))
    # Noise to any compression, and no two values are the same.
    plain = {"compression": "NONE", "use_dictionary": False, "write_statistics": False}
    pq.write_table(table, file, row_group_size=ROWS_TOGETHER, **plain)
    with file.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()


def _encoder(store: ObjectStore, spec: dict[str, Any], scratch: Path) -> Encoder:
    if spec["model"] is None:
        from services.bulkid.backbone.encoder import pretrained  # noqa: PLC0415 - TensorFlow takes seconds

        return pretrained(spec["image_size_px"])
    exported = ModelExported.model_validate(spec["model"])
    archive = scratch / "model.keras"
    store.get_file(exported.model, archive)
    refuse_code(archive)
    from services.bulkid.backbone.encoder import of_model  # noqa: PLC0415 - seconds, spent only on what can be used

    return of_model(archive, exported.image_size_px)


if __name__ == "__main__":
    child_main(work)
