"""What an uploader may say of a file, the same for every way in."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from contracts.message import UtcDatetime
from contracts.values import (
    BenchmarkName,
    FileName,
    Guest,
    Label,
    LabelKind,
    PersonName,
    Source,
    Tag,
    Tags,
    UploadId,
    UpstreamId,
    Visit,
)

T = TypeVar("T")


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _each_once(tags: tuple[Tag, ...]) -> tuple[Tag, ...]:
    return tuple(dict.fromkeys(tags))


Optional = Annotated[T | None, BeforeValidator(_blank_is_none)]


class UploadMeta(BaseModel):
    """Only ``upload_id`` is needed; a blank value is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    upload_id: UploadId
    file_name: FileName | None = None
    label: Optional[Label] = None
    label_kind: Optional[LabelKind] = None
    source: Source = Source.REAL
    guest: Optional[Guest] = None
    visit: Optional[Visit] = None
    taken_at: Optional[UtcDatetime] = None
    tags: Annotated[Tags, AfterValidator(_each_once)] = ()
    upstream_id: Optional[UpstreamId] = None
    benchmark: Optional[BenchmarkName] = None
    uploaded_by: PersonName = "upload"
