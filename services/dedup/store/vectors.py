"""Which files of similarity vectors there are, which are compared, and the thresholds learnt beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

import sqlalchemy as sa

from contracts.events import VectorsComputed
from contracts.values import ImageId, LabelKind, ObjectRef, PairState
from services.dedup.domain.thresholds import Threshold
from services.dedup.store.images import chunks
from services.dedup.store.pairs import ProposedPair
from services.dedup.store.tables import label, pair, threshold, vector_file
from services.runtime.database import upsert

ALL_CLASSES = ""
"""A primary key holds no NULL."""
DECIDED_BY_VECTORS = (PairState.REVIEW, PairState.AUTOMATIC, PairState.BURST)
"""States in which no person has spoken."""


@dataclass(frozen=True)
class VectorFile:
    """A file of vectors that was told of; ``number`` counts them in the order of being heard."""

    run_id: str
    number: int
    encoder: str
    ref: ObjectRef


def note_file(connection: sa.Connection, event: VectorsComputed) -> None:
    """Remember the file; a repeated message changes nothing."""
    last = connection.scalar(sa.select(sa.func.max(vector_file.c.number)))
    row = {
        "run_id": event.run_id,
        "number": (last or 0) + 1,
        "encoder": event.encoder,
        "images": event.images,
        "dimensions": event.dimensions,
        "computed_at": event.computed_at.astimezone(UTC),
        "bucket": event.vectors.bucket,
        "key": event.vectors.key,
        "size": event.vectors.size,
        "sha256": event.vectors.sha256,
        "compared": False,
    }
    upsert(connection, vector_file, [row], update=[])


def newest_encoder(connection: sa.Connection) -> str | None:
    """The encoder that computed last; vectors of no other are compared."""
    order = (vector_file.c.computed_at.desc(), vector_file.c.run_id.desc())
    return connection.scalar(sa.select(vector_file.c.encoder).order_by(*order).limit(1))


def files_of(connection: sa.Connection, encoder: str, *, compared: bool) -> list[VectorFile]:
    """The encoder's files whose pairs are proposed, or those whose are not, in the order of being heard."""
    columns = vector_file.c
    query = sa.select(vector_file).where(columns.encoder == encoder, columns.compared == compared)
    return [
        VectorFile(
            row.run_id,
            row.number,
            row.encoder,
            ObjectRef(bucket=row.bucket, key=row.key, size=row.size, sha256=row.sha256),
        )
        for row in connection.execute(query.order_by(columns.number))
    ]


def mark_compared(connection: sa.Connection, file: VectorFile) -> None:
    """Its pairs are proposed; those of other encoders would have to be found again."""
    columns = vector_file.c
    for chosen, compared in ((columns.encoder != file.encoder, False), (columns.run_id == file.run_id, True)):
        connection.execute(sa.update(vector_file).where(chosen).values(compared=compared))


def forget_file(connection: sa.Connection, run_id: str) -> None:
    """The file is none; a message that tells of it again is heard anew."""
    connection.execute(sa.delete(vector_file).where(vector_file.c.run_id == run_id))


def open_proposals(connection: sa.Connection) -> dict[str, list[ProposedPair]]:
    """By detector, the pairs that vectors proposed and no person decided; state is the one proposed."""
    found: dict[str, list[ProposedPair]] = {}
    query = sa.select(pair).where(
        pair.c.proposed.is_not(None), pair.c.state.in_([state.value for state in DECIDED_BY_VECTORS])
    )
    for row in connection.execute(query.order_by(pair.c.image_id, pair.c.other_id)):
        proposed = ProposedPair(row.image_id, row.other_id, row.similarity, PairState(row.proposed))
        found.setdefault(row.detector, []).append(proposed)
    return found


def classes_of(connection: sa.Connection, image_ids: Iterable[ImageId]) -> dict[ImageId, str]:
    """The labels of kind class."""
    found: dict[ImageId, str] = {}
    for chunk in chunks(image_ids):
        query = sa.select(label.c.image_id, label.c.label).where(
            label.c.image_id.in_(chunk), label.c.kind == LabelKind.CLASS.value, label.c.label.is_not(None)
        )
        found.update((row.image_id, row.label) for row in connection.execute(query))
    return found


def save_thresholds(connection: sa.Connection, learnt: Iterable[Threshold]) -> None:
    """Replace all by what was learnt now."""
    connection.execute(sa.delete(threshold))
    rows: list[dict[str, Any]] = [
        asdict(one) | {"class_name": one.class_name or ALL_CLASSES} for one in learnt
    ]
    upsert(connection, threshold, rows)


def stored_thresholds(connection: sa.Connection) -> list[Threshold]:
    """What was learnt last, all classes first; empty before the first file of vectors was compared."""
    query = sa.select(threshold).order_by(threshold.c.detector, threshold.c.class_name)
    return [
        Threshold(**dict(row) | {"class_name": row["class_name"] or None})
        for row in connection.execute(query).mappings()
    ]
