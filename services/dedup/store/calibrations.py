"""By which limits the stored verdicts were made."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from contracts.values import ImageId, UploadId
from services.dedup.domain.fingerprint import DETECTOR
from services.dedup.store.tables import calibration
from services.runtime.database import upsert

LibraryRank = tuple[int, UploadId, ImageId]


@dataclass(frozen=True)
class Calibration:
    """``judged`` is how far judging all images anew has come; ``done`` when it has come to the end."""

    limits: dict[str, Any] | None
    library: str | None
    judged: LibraryRank | None
    done: bool


def calibration_of(connection: sa.Connection) -> Calibration | None:
    """As stored; None in a new database."""
    row = connection.execute(sa.select(calibration).where(calibration.c.detector == DETECTOR)).one_or_none()
    if row is None:
        return None
    judged = None if not row.judged else (int(row.judged[0]), str(row.judged[1]), str(row.judged[2]))
    return Calibration(row.limits, row.library, judged, row.judged is None)


def note_calibration(
    connection: sa.Connection,
    limits: dict[str, Any],
    distance_bits: int,
    judged: LibraryRank | None,
    *,
    done: bool,
) -> None:
    """Verdicts are being made by ``limits``, up to ``judged``, or ``done``."""
    row = {
        "detector": DETECTOR,
        "max_distance_bits": distance_bits,
        "limits": limits,
        "judged": None if done else list(judged or ()),
    }
    upsert(connection, calibration, [row])


def library_name(connection: sa.Connection) -> str:
    """A name of this database that no other has; it needs a calibration."""
    stored = calibration_of(connection)
    if stored is not None and stored.library is not None:
        return stored.library
    made = uuid.uuid4().hex
    connection.execute(sa.update(calibration).where(calibration.c.detector == DETECTOR).values(library=made))
    return made
