"""Which files an upload sends, in which order, and what it says of each."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from contracts.values import LabelKind, Source
from services.ops.clients.errors import OpsError
from services.ops.clients.labels import FILE_NAME, LabelTable, checked_label, read_label_table
from services.ops.clients.ulid import UlidSource

NAME_MAX_CHARACTERS = 1024  # contracts.values.FileName


@dataclass(frozen=True)
class PlannedFile:
    """One upload; ``file_name`` is what the library is told, never used as a path again."""

    path: Path
    file_name: str
    upload_id: str
    label: str | None = None
    source: Source = Source.REAL
    guest: str | None = None
    taken_at: datetime | None = None
    benchmark: str | None = None
    uploaded_by: str = "upload"
    label_kind: LabelKind | None = None
    visit: str | None = None
    tags: tuple[str, ...] = ()
    upstream_id: str | None = None
    data: bytes | None = None
    """The content where it is in memory already (a member of a tar); ``path`` is then never opened."""

    def meta(self) -> dict[str, str | list[str]]:
        """The file's entry of the request's ``meta`` list: what is said of it, nothing more."""
        said: dict[str, str | list[str] | None] = {
            "upload_id": self.upload_id,
            "file_name": self.file_name,
            "label": self.label,
            "label_kind": self.label_kind and self.label_kind.value,
            "source": self.source.value,
            "guest": self.guest,
            "visit": self.visit,
            "taken_at": self.taken_at.isoformat() if self.taken_at else None,
            "tags": list(self.tags) or None,
            "upstream_id": self.upstream_id,
            "benchmark": self.benchmark,
            "uploaded_by": self.uploaded_by,
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class UploadRules:
    """What applies to every file of one command."""

    source: Source = Source.REAL
    benchmark: str | None = None
    unlabelled_fraction: float = 0.0
    uploaded_by: str = "upload"
    guest: str | None = None
    visit: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class UploadPlan:
    """Files in upload order, and what the folder and its table disagree on."""

    files: tuple[PlannedFile, ...]
    missing: tuple[str, ...] = field(default=())
    """Files a ``labels.csv`` names that are not there."""


def plan_uploads(paths: Sequence[Path], rules: UploadRules, ids: UlidSource) -> UploadPlan:
    """Plan the files and folders of ``paths``; ids grow in file order.

    Raises:
        OpsError: a path is missing or nothing is left to upload.
    """
    files: list[PlannedFile] = []
    missing: list[str] = []
    for path in paths:
        if path.is_dir():
            planned, absent = _plan_folder(path, rules, ids)
            files += planned
            missing += absent
        elif path.is_file():
            files.append(_planned(path, path.name, ids.next(), rules))
        else:
            raise OpsError(f"{path} is neither a file nor a folder: check the path")
    if not files:
        raise OpsError(
            f"no files to upload in {', '.join(map(str, paths))}: hidden files and labels.csv do not count"
        )
    return UploadPlan(tuple(files), tuple(missing))


def _plan_folder(root: Path, rules: UploadRules, ids: UlidSource) -> tuple[list[PlannedFile], list[str]]:
    table = read_label_table(root / FILE_NAME) if (root / FILE_NAME).is_file() else None
    names = sorted(files_below(root))
    files = []
    for name in names:
        planned = _planned(root / name, name, ids.next(), rules)
        planned = _from_table(planned, name, table) if table else _from_folder(planned, name)
        if planned.label and withheld(name, rules.unlabelled_fraction):
            planned = replace(planned, label=None, label_kind=None)
        files.append(planned)
    return files, table.missing(set(names)) if table else []


def _planned(path: Path, name: str, upload_id: str, rules: UploadRules) -> PlannedFile:
    return PlannedFile(
        path,
        told_name(name),
        upload_id,
        source=rules.source,
        benchmark=rules.benchmark,
        uploaded_by=rules.uploaded_by,
        guest=rules.guest,
        visit=rules.visit,
        tags=rules.tags,
    )


def told_name(name: str) -> str:
    """A file's name as the library is told it: the end of a name that is too long."""
    # Names that are not UTF-8 come as lone surrogates, which no JSON reader takes.
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[-NAME_MAX_CHARACTERS:]


def _from_table(planned: PlannedFile, name: str, table: LabelTable) -> PlannedFile:
    row = table.find(name)
    if row is None:
        return planned
    return replace(
        planned,
        label=row.label,
        label_kind=row.label_kind,
        source=row.source or planned.source,
        guest=row.guest or planned.guest,
        visit=row.visit or planned.visit,
        taken_at=row.taken_at,
        tags=(*planned.tags, *(tag for tag in row.tags if tag not in planned.tags)),
        upstream_id=row.upstream_id,
        benchmark=row.benchmark or planned.benchmark,
    )


def _from_folder(planned: PlannedFile, name: str) -> PlannedFile:
    folder = planned.file_name.rpartition("/")[0]
    return replace(planned, label=checked_label(folder, f"folder of {name!r}"))


def files_below(root: Path) -> Iterator[str]:
    """Relative names of the regular files under ``root``; links that lead out of it do not count.

    Raises:
        OpsError: a folder cannot be read.
    """
    inside = root.resolve()

    def refuse(error: OSError) -> None:
        raise OpsError(f"folder {error.filename} cannot be read ({error.strerror}): allow it or leave it out")

    for folder, folders, names in os.walk(root, onerror=refuse, followlinks=False):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            if name.startswith(".") or path == root / FILE_NAME:
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
                continue
            if _is_regular(path):
                yield path.relative_to(root).as_posix()


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)  # a pipe would be waited on for ever
    except OSError:
        return False


def withheld(name: str, fraction: float) -> bool:
    """Whether this file's label is kept back: about ``fraction`` of all files, always the same ones."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) < fraction * 2**64
