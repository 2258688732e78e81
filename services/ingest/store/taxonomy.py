"""The versions of the taxonomy and what they do to labels, inside the transaction of the caller."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from contracts.events import ImageRelabelled
from contracts.taxonomy import Operation, Rename, Taxonomy
from contracts.values import ImageId, LabelKind
from services.ingest.store.pages import pages
from services.ingest.store.tables import image, label_change, opinion, taxonomy_operation

HELD = "menagerie.taxonomy"
"""Where a connection keeps what its transaction read."""


def current_taxonomy(connection: sa.Connection) -> Taxonomy:
    """All versions there are; read once in a transaction.

    None is added until a transaction that writes ends, so that no label is set under a name that a
    rename gives up at the same moment.
    """
    held = connection.info.get(HELD)
    if held is not None and held[0] is connection.get_transaction():
        found: Taxonomy = held[1]
        return found
    if connection.get_execution_options().get("immediate"):
        _lock(connection, "ROW SHARE")
    return _read(connection)


def at_one_moment(connection: sa.Connection) -> None:
    """Let all that ``connection`` reads be of one moment; nothing was asked of it yet.

    A rename changes labels and taxonomy at once; two statements must not see one without the other.
    """
    if connection.dialect.name == "postgresql":  # a transaction of SQLite's always is
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def resolve_label(connection: sa.Connection, label: str) -> str:
    """Today's name of ``label``, which may be a former one."""
    return current_taxonomy(connection).todays_label(label)


def lock_taxonomy(connection: sa.Connection) -> Taxonomy:
    """All versions there are; nobody else adds one, or sets a label, until the transaction ends."""
    _lock(connection, "EXCLUSIVE")
    return _read(connection)


def _read(connection: sa.Connection) -> Taxonomy:
    query = sa.select(taxonomy_operation.c.operation).order_by(taxonomy_operation.c.version)
    taxonomy = Taxonomy(operations=tuple(map(Operation.model_validate, connection.scalars(query))))
    connection.info[HELD] = (connection.get_transaction(), taxonomy)
    return taxonomy


def _lock(connection: sa.Connection, mode: str) -> None:
    if connection.dialect.name == "postgresql":  # SQLite's writers are one at a time anyway
        connection.exec_driver_sql(f"LOCK TABLE {taxonomy_operation.name} IN {mode} MODE")


def add_operation(connection: sa.Connection, operation: Operation) -> None:
    """Add the next version.

    Raises:
        sqlalchemy.exc.IntegrityError: it exists already.
    """
    row = {"version": operation.version, "operation": operation.model_dump(mode="json")}
    connection.execute(sa.insert(taxonomy_operation).values(row))
    connection.info.pop(HELD, None)


def images_labelled(connection: sa.Connection, labels: Collection[str]) -> list[ImageId]:
    """Images with one of ``labels`` of kind class, sorted."""
    found: list[ImageId] = []
    for page in pages(labels):
        query = sa.select(image.c.image_id).where(
            image.c.label.in_(page), image.c.label_kind == LabelKind.CLASS
        )
        found.extend(connection.scalars(query))
    return sorted(found)


def relabel(
    connection: sa.Connection, change: Rename, change_id: str, by: str, reason: str, at: datetime
) -> Sequence[ImageRelabelled]:
    """Give every image labelled ``old`` or below its new name, and what is to be said of it.

    Three statements however many images there are; opinions follow, or a rename would make everybody
    disagree with the label.
    """
    is_old, new_label = _at_or_below(image.c.label, change), _renamed(image.c.label, change)
    query = sa.select(image.c.image_id, image.c.label, new_label.label("new_label"), image.c.label_kind,
                      image.c.label_revision).where(is_old)  # fmt: skip
    found = connection.execute(query.order_by(image.c.image_id).with_for_update()).all()
    columns = {
        "image_id": image.c.image_id, "revision": image.c.label_revision + 1,
        "previous_label": image.c.label, "previous_kind": image.c.label_kind,
        "label": new_label, "label_kind": image.c.label_kind, "changed_by": sa.literal(by),
        "changed_at": sa.literal(at.astimezone(UTC), label_change.c.changed_at.type),
        "reason": sa.literal(reason), "change_id": sa.literal(change_id),
    }  # fmt: skip
    changes = sa.select(*columns.values()).where(is_old)
    connection.execute(sa.insert(label_change).from_select(list(columns), changes))
    connection.execute(
        sa.update(image).where(is_old).values(label=new_label, label_revision=image.c.label_revision + 1)
    )
    meant, new_meant = _at_or_below(opinion.c.label, change), _renamed(opinion.c.label, change)
    connection.execute(sa.update(opinion).where(meant).values(label=new_meant))
    return [
        ImageRelabelled(
            image_id=row.image_id, revision=row.label_revision + 1, previous_label=row.label,
            label=row.new_label, kind=LabelKind(row.label_kind), by=by, reason=reason, labelled_at=at,
            change_id=change_id,
        )
        for row in found
    ]  # fmt: skip


def _at_or_below(label: sa.Column[str], change: Rename) -> sa.ColumnElement[bool]:
    # Not LIKE: SQLite's ignores case, and a label may hold its wildcards.
    below = f"{change.old}/"
    return sa.or_(label == change.old, sa.func.substr(label, 1, len(below)) == below)


def _renamed(label: sa.Column[str], change: Rename) -> sa.ColumnElement[str]:
    return sa.literal(change.new) + sa.func.substr(label, len(change.old) + 1)
