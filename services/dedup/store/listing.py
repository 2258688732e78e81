"""Pairs page by page, and one image with its group: what is asked over HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

import sqlalchemy as sa

from contracts.values import DuplicateVerdict, ImageId, PairState
from services.dedup.store.tables import fingerprint, pair, verdict
from services.dedup.store.vectors import classes_of

Row = dict[str, Any]
CURSOR = re.compile(r"(?P<bits>\d{1,4}|-)\.(?P<image>[0-9a-f]{64})\.(?P<other>[0-9a-f]{64})")
SHOWN = (
    "image_id", "other_id", "revision", "state", "distance_bits", "orientation", "similarity", "detector",
    "suggested_keep", "keep", "by", "reason", "request_id", "judged_at",
)  # fmt: skip


@dataclass(frozen=True)
class PairFilter:
    """Which pairs; filters combine with AND."""

    state: PairState | None = None
    image_id: ImageId | None = None


class Place(NamedTuple):
    """Where a page ends. Pairs come by distance, those without one last, and none comes twice."""

    distance_bits: int | None
    image_id: ImageId
    other_id: ImageId

    @classmethod
    def read(cls, text: str) -> Self:
        """The place that ``str`` wrote.

        Raises:
            ValueError: it is none.
        """
        found = CURSOR.fullmatch(text)
        if found is None:
            raise ValueError("give the 'next' of the page before")
        return cls(None if found["bits"] == "-" else int(found["bits"]), found["image"], found["other"])

    def __str__(self) -> str:
        bits = "-" if self.distance_bits is None else self.distance_bits
        return f"{bits}.{self.image_id}.{self.other_id}"


def pairs(
    connection: sa.Connection, wanted: PairFilter, limit: int, after: Place | None
) -> tuple[list[Row], Place | None]:
    """A page of pairs and where the next begins, None after the last.

    A pair that is there all the time comes exactly once, whatever is judged in between, unless its own
    distance changes.
    """
    rows: list[Any] = []
    if after is None or after.distance_bits is not None:
        rows += _nearest(connection, wanted, limit + 1, after)
    if len(rows) <= limit:
        beyond = None if after is None or after.distance_bits is not None else after
        rows += _without_distance(connection, wanted, limit + 1 - len(rows), beyond)
    page = rows[:limit]
    classes = classes_of(connection, {one for row in page for one in (row.image_id, row.other_id)})
    shown = [_shown(row, classes) for row in page]
    end = page[-1] if len(rows) > limit else None
    return shown, None if end is None else Place(end.distance_bits, end.image_id, end.other_id)


def _nearest(connection: sa.Connection, wanted: PairFilter, limit: int, after: Place | None) -> list[Any]:
    order = (pair.c.distance_bits, pair.c.image_id, pair.c.other_id)
    query = _select(wanted).where(pair.c.distance_bits.is_not(None)).order_by(*order).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, after)))
    return list(connection.execute(query))


def _without_distance(
    connection: sa.Connection, wanted: PairFilter, limit: int, after: Place | None
) -> list[Any]:
    order = (pair.c.image_id, pair.c.other_id)
    query = _select(wanted).where(pair.c.distance_bits.is_(None)).order_by(*order).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, after[1:])))
    return list(connection.execute(query))


def _select(wanted: PairFilter) -> sa.Select[Any]:
    query = sa.select(*(pair.c[name] for name in SHOWN))
    state: sa.ColumnElement[str] = pair.c.state
    if wanted.image_id is not None:
        # An image has few pairs: coalesce keeps SQLite from reading all of that state, 0.4 s of a million.
        state = sa.func.coalesce(state, "")
        sides = (pair.c.image_id == wanted.image_id, pair.c.other_id == wanted.image_id)
        query = query.where(sa.or_(*sides))
    return query if wanted.state is None else query.where(state == wanted.state.value)


def _shown(row: Any, classes: dict[ImageId, str]) -> Row:
    one, other = classes.get(row.image_id), classes.get(row.other_id)
    return {
        **row._mapping,
        "judged_at": _moment(row.judged_at),
        # Of both; thresholds of a class are learnt from such pairs alone.
        "class_name": one if one == other else None,
    }


def words_said(connection: sa.Connection, detector: str) -> tuple[int, int]:
    """On so many pairs of that detector people said that they are duplicates, and that they are not."""
    query = (
        sa.select(pair.c.state, sa.func.count())
        .where(
            pair.c.state.in_([PairState.DUPLICATE.value, PairState.NOT_DUPLICATE.value]),
            pair.c.detector == detector,
        )
        .group_by(pair.c.state)
    )
    said = {state: int(count) for state, count in connection.execute(query)}
    return said.get(PairState.DUPLICATE.value, 0), said.get(PairState.NOT_DUPLICATE.value, 0)


def image_with_group(connection: sa.Connection, image_id: ImageId) -> Row | None:
    """What dedup says of one image, of its group and of its pairs; None when it does not know the image."""
    joined = fingerprint.outerjoin(verdict, verdict.c.image_id == fingerprint.c.image_id)
    query = (
        sa.select(fingerprint.c.removed, verdict)
        .select_from(joined)
        .where(fingerprint.c.image_id == image_id)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    members = [] if row.removed else _members(connection, row.group_id)
    found, _ = pairs(connection, PairFilter(image_id=image_id), 1000, None)
    return {
        "image_id": image_id,
        "verdict": row.verdict,
        "group": row.group_id,
        "duplicate_of": row.duplicate_of,
        "distance_bits": row.distance_bits,
        "orientation": row.orientation,
        "by": row.by,
        "removed": row.removed,
        "members": members,
        "pairs": found,
    }


def _members(connection: sa.Connection, group: str) -> list[Row]:
    """The chosen image first, then the others, the most alike first."""
    joined = verdict.join(fingerprint, fingerprint.c.image_id == verdict.c.image_id)
    columns = (verdict.c.image_id, verdict.c.distance_bits, verdict.c.orientation, verdict.c.verdict)
    query = (
        sa.select(*columns)
        .select_from(joined)
        .where(verdict.c.group_id == group, sa.not_(fingerprint.c.removed))
    )
    rows = [dict(row._mapping) for row in connection.execute(query)]
    near = DuplicateVerdict.NEAR.value
    return sorted(
        rows,
        key=lambda row: (
            row["image_id"] != group,
            row["verdict"] != near,
            row["distance_bits"] is None,
            row["distance_bits"] or 0,
            row["image_id"],
        ),
    )


def _moment(at: datetime) -> str:
    """SQLite forgets the zone of what is stored in UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")
