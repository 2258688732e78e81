"""What the handlers look up in what bulkid heard of."""

from __future__ import annotations

import sqlalchemy as sa

from contracts.events import ModelExported, SnapshotPacked
from contracts.values import ModelVersion
from services.bulkid import store
from services.runtime.database import Database
from services.runtime.delivery import Unprocessable


class NotYetKnown(Exception):
    """What the message refers to has not been heard of yet; another stream may just be behind."""


async def known_snapshot(database: Database, snapshot_id: str | None) -> SnapshotPacked:
    """The snapshot of that id, the newest for None.

    Raises:
        NotYetKnown: there is none.
    """

    def find(connection: sa.Connection) -> SnapshotPacked | None:
        if snapshot_id is None:
            return store.newest_snapshot(connection)
        return store.find_snapshot(connection, snapshot_id)

    snapshot = await database.read(find)
    if snapshot is None:
        missing = "no snapshot" if snapshot_id is None else f"no snapshot {snapshot_id}"
        raise NotYetKnown(f"{missing} was heard of yet; pack one: `menagerie snapshot`")
    return snapshot


async def known_model(database: Database, version: ModelVersion) -> ModelExported:
    """The exported model of that version.

    Raises:
        NotYetKnown: its export was not heard of.
    """
    exported = await database.read(lambda connection: store.find_model(connection, version))
    if exported is None:
        raise NotYetKnown(f"model {version} is not exported; export it: `menagerie export {version}`")
    return exported


def check_size(exported: ModelExported, snapshot: SnapshotPacked) -> None:
    """That the model takes images of the snapshot's size.

    Raises:
        Unprocessable: it does not.
    """
    if snapshot.image_size_px != exported.image_size_px:
        raise Unprocessable(
            f"model {exported.model_version} takes images of {exported.image_size_px} px, snapshot "
            f"{snapshot.snapshot_id} has {snapshot.image_size_px} px; pack a snapshot of the model's size"
        )
