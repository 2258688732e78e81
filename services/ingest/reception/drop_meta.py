"""What an upstream system says of an object by its user metadata (``x-amz-meta-label`` and so on)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from urllib.parse import unquote

from pydantic import ValidationError

from contracts.values import UploadId
from services.ingest.reception.meta import UploadMeta

FIELDS = (
    "label", "label-kind", "source", "guest", "visit", "taken-at", "upstream-id", "benchmark", "uploaded-by",
)  # fmt: skip
BAD = "bad-metadata"
TAG_LENGTH, MOST_TAGS, MOST_TOLD = 100, 50, 10


def said_of(upload_id: UploadId, metadata: Mapping[str, str]) -> tuple[UploadMeta, tuple[str, ...]]:
    """What is said, and a line for each value that cannot be used.

    Nobody waits for an answer here, so a picture is never refused for its metadata: it is taken
    without the bad value, and tagged ``bad-metadata`` and ``bad-metadata:source=dream`` so that
    whoever looks for the tag finds it with what was said. The object itself is left as it is.
    Names that are not ours are other programs' business.
    """
    said: dict[str, object] = {
        name.replace("-", "_"): _percent_decoded(_unfolded(metadata[name]))
        for name in FIELDS
        if name in metadata
    }
    said = {name: value for name, value in said.items() if str(value).strip()}
    tags = [_percent_decoded(tag) for tag in _unfolded(metadata.get("tags", "")).split(",")]
    tags = [tag for tag in dict.fromkeys(tag.strip() for tag in tags) if tag]
    bad = {name for name in said if not _valid(upload_id, **{name: said[name]})}
    good_tags = [tag for tag in tags if _valid(upload_id, tags=(tag,))]
    problems = [f"{name.replace('_', '-')}={said[name]}" for name in sorted(bad)]
    problems += [f"tags={tag}" for tag in tags if tag not in good_tags]
    problems += [f"tags={tag}" for tag in good_tags[MOST_TAGS:]]
    if problems:
        marks = [BAD, *(f"{BAD}:{problem}".strip()[:TAG_LENGTH] for problem in problems[:MOST_TOLD])]
        good_tags = [*good_tags[: MOST_TAGS - len(marks)], *marks]
    fields = {name: value for name, value in said.items() if name not in bad}
    meta = UploadMeta.model_validate({"upload_id": upload_id, "tags": good_tags, **fields})
    return meta, tuple(problem[:200] for problem in problems)


def _valid(upload_id: UploadId, **fields: object) -> bool:
    try:
        UploadMeta.model_validate({"upload_id": upload_id, **fields})
    except ValidationError:
        return False
    return True


def _unfolded(value: str) -> str:
    """The text of a header: UTF-8 that HTTP took for Latin-1, or RFC 2047 as S3 itself answers."""
    with contextlib.suppress(UnicodeError):  # it is neither, or was decoded already
        value = value.encode("latin-1").decode()
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        return value


def _percent_decoded(value: str) -> str:
    """Percent-encoded UTF-8, the one spelling that every S3 client can send; else the text itself."""
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        return value
