"""Which images a question is about: filters that combine with AND, and pages by image id."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import sqlalchemy as sa

from contracts.taxonomy import covers
from contracts.values import DuplicateVerdict, ImageId, LabelKind, QualityFlag, Source
from services.ingest.store.double_checks import OPEN
from services.ingest.store.opinions import disagreement_clause
from services.ingest.store.tables import double_check, image, image_flag, upload
from services.ingest.store.taxonomy import current_taxonomy

Clause = sa.ColumnElement[bool]


@dataclass(frozen=True)
class ImageFilter:
    """What the images shall be like; None asks for all. ``flags`` must all be there."""

    label: str | None = None
    """The sub-class and all below it."""
    class_name: str | None = None
    """A class of the newest taxonomy: labels of kind ``class`` only."""
    kind: LabelKind | None = None
    unlabelled: bool | None = None
    flags: Collection[QualityFlag] = field(default=())
    source: Source | None = None
    guest: str | None = None
    visit: str | None = None
    tag: str | None = None
    benchmark: str | None = None
    verdict: DuplicateVerdict | None = None
    double_check: bool | None = None
    """Whether one is open."""
    disagreement: bool | None = None
    file: str | None = None
    """A part of the file name in any case."""
    upstream_id: str | None = None
    """Of any upload of the image, not only of the first."""


def matching(
    connection: sa.Connection, wanted: ImageFilter, limit: int, after: str | None
) -> tuple[list[ImageId], ImageId | None]:
    """The first ``limit`` image ids beyond ``after``, sorted, and the last of them when there are more.

    An image that arrives or changes between two pages neither moves nor repeats the others.
    """
    flagged = [image_flag.alias(f"flag_{number}") for number, _ in enumerate(wanted.flags)]
    tables: sa.FromClause = image
    for one in flagged:
        tables = tables.join(one, one.c.image_id == image.c.image_id)
    # By the flag's own column: SQLite then walks the flag's index, already in order.
    key = flagged[0].c.image_id if flagged else image.c.image_id
    query = sa.select(key).select_from(tables).where(*_clauses(connection, wanted))
    query = query.where(*(one.c.flag == flag for one, flag in zip(flagged, wanted.flags, strict=True)))
    if after is not None:
        query = query.where(key > after)
    found = list(connection.scalars(query.order_by(key).limit(limit + 1)))
    return found[:limit], found[limit - 1] if len(found) > limit else None


def _clauses(connection: sa.Connection, wanted: ImageFilter) -> list[Clause]:
    clauses = _equal(wanted)
    taxonomy = current_taxonomy(connection)
    if wanted.label is not None:
        path = taxonomy.todays_label(wanted.label)
        clauses.append(_labelled(connection, lambda label: covers(path, label)))
    if wanted.class_name is not None:
        classes, name = taxonomy.at(taxonomy.version), taxonomy.todays_label(wanted.class_name)
        clauses.append(_labelled(connection, lambda label: classes.class_of(label) == name))
        clauses.append(image.c.label_kind == LabelKind.CLASS)
    if wanted.unlabelled is not None:
        clauses.append(image.c.label.is_(None) if wanted.unlabelled else image.c.label.is_not(None))
    if wanted.tag is not None:
        clauses.append(_has_tag(connection.dialect.name, wanted.tag))
    if wanted.double_check is not None:
        queued = sa.select(double_check.c.image_id).where(OPEN)
        key = image.c.image_id
        clauses.append(key.in_(queued) if wanted.double_check else key.not_in(queued))
    if wanted.disagreement is not None:
        clauses.append(disagreement_clause() if wanted.disagreement else sa.not_(disagreement_clause()))
    if wanted.file is not None:
        clauses.append(_has_file_name(wanted.file))
    if wanted.upstream_id is not None:
        clauses.append(_was_uploaded_as(wanted.upstream_id))
    return clauses


def _equal(wanted: ImageFilter) -> list[Clause]:
    columns = {
        image.c.label_kind: wanted.kind,
        image.c.source: wanted.source,
        image.c.guest: wanted.guest,
        image.c.visit: wanted.visit,
        image.c.benchmark: wanted.benchmark,
        image.c.verdict: wanted.verdict,
    }
    return [column == value for column, value in columns.items() if value is not None]


def _labelled(connection: sa.Connection, fits: Callable[[str], bool]) -> Clause:
    # Chosen here, not by LIKE: SQLite's ignores case, and neither database would use its index.
    return image.c.label.in_([label for label in _distinct_labels(connection) if fits(label)])


def _distinct_labels(connection: sa.Connection) -> list[str]:
    """Every label in use, one step of the index each: DISTINCT would read a row for every image."""
    first = sa.select(sa.func.min(image.c.label).label("label"))
    each = first.cte("each_label", recursive=True)
    following = sa.select(sa.func.min(image.c.label)).where(image.c.label > each.c.label).scalar_subquery()
    each = each.union_all(sa.select(following).where(each.c.label.is_not(None)))
    return list(connection.scalars(sa.select(each.c.label).where(each.c.label.is_not(None))))


def _has_tag(dialect: str, tag: str) -> Clause:
    elements = sa.func.json_array_elements_text if dialect == "postgresql" else sa.func.json_each
    tags = elements(image.c.tags).table_valued("value")
    # Tags are stored as JSON text: what does not contain the tag need not be taken apart.
    return sa.and_(
        sa.cast(image.c.tags, sa.Text).contains(json.dumps(tag), autoescape=True),
        sa.exists(sa.select(tags.c.value).where(tags.c.value == tag)),
    )


def _has_file_name(part: str) -> Clause:
    named = sa.select(upload.c.upload_id).where(upload.c.file_name.icontains(part, autoescape=True))
    return image.c.upload_id.in_(named)


def _was_uploaded_as(upstream_id: str) -> Clause:
    uploads = sa.select(sa.func.coalesce(upload.c.same_as, upload.c.image_id)).where(
        upload.c.upstream_id == upstream_id
    )
    return image.c.image_id.in_(uploads)
