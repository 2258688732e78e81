"""WebDataset: tar shards of ``<key>.<picture>``, ``<key>.cls`` and ``<key>.json``; the key is the image id.

``.cls`` is the label's place in ``classes.json``, or -1: WebDataset and Hugging Face read it as a
number. ``.json`` has every field. Shards are read member by member and never unpacked to disk.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from contracts.values import LabelKind
from services.ops.clients.errors import OpsError
from services.ops.interchange.pictures import MAX_PICTURE_BYTES, check_size, suffix_of
from services.ops.interchange.records import BadRow, Record, Row, cells_of, json_text, record_of, shown

CLASSES_FILE = "classes.json"
NO_CLASS = -1
PICTURES = frozenset({
    "jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "heic", "heif", "avif",
})  # fmt: skip
TEXTS = frozenset({"cls", "json"})
MAX_TEXT_BYTES = 2**20
MAX_READ_BYTES = MAX_PICTURE_BYTES + 2**20
"""A header may promise terabytes of its own extensions, which tarfile would read at once."""


class _Bounded(io.BufferedReader):
    """A file that refuses to be read in pieces that would fill the memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or size > MAX_READ_BYTES:
            raise tarfile.ReadError(f"a header promises {size} bytes of names")
        return super().read(size)


def read(path: Path, title: str) -> Iterator[Row]:
    """The samples of a shard, in order; neighbouring members with one key are a sample.

    Raises:
        OpsError: the shard cannot be opened.
    """
    classes = _read_classes(path.parent / CLASSES_FILE)
    key: str | None = None
    parts: dict[str, bytes] = {}
    try:
        with _Bounded(io.FileIO(path)) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined] # else every header stays in memory
                where = f"{title} member {shown(member.name)}"
                try:
                    stem, suffix = _split(member)
                    if stem != key:
                        yield from _sample(title, key, parts, classes)
                        key, parts = stem, {}
                    data = _content(tar, member, suffix)
                except BadRow as problem:
                    yield Row(where, problem=str(problem))
                    continue
                if data is not None:
                    parts[suffix] = data
            _check_end(file, tar)
    except (tarfile.TarError, EOFError, ValueError) as error:
        parts = {}  # the sample at the break may lack its end
        yield Row(title, problem=f"is not a whole tar file ({error}): copy it again, unpacked from .gz")
    except OSError as error:
        raise OpsError(f"{path} cannot be read ({error.strerror}): check the path") from error
    yield from _sample(title, key, parts, classes)


def _check_end(file: BinaryIO, tar: tarfile.TarFile) -> None:
    """Raise ReadError unless the archive's end mark was met: tarfile ends at a broken header in silence."""
    file.seek(tar.offset)
    block = file.read(tarfile.BLOCKSIZE)
    if not block or any(block):
        raise tarfile.ReadError("a header is broken, or the end is missing")


def _split(member: tarfile.TarInfo) -> tuple[str, str]:
    """The sample's key and the member's part of it: up to and after the first dot of the last name."""
    name = member.name
    folder, _, last = name.rpartition("/")
    stem, _, suffix = last.partition(".")
    if name.startswith("/") or "\\" in name or ".." in name.split("/"):
        raise BadRow("leads out of the archive: refused")
    return f"{folder}/{stem}" if folder else stem, suffix.lower()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str) -> bytes | None:
    """The member's bytes, None for what no sample of ours has."""
    if member.isdir() or (member.isreg() and suffix not in PICTURES | TEXTS):
        return None
    if not member.isreg() or member.issparse():
        raise BadRow("is a link or another special file: refused")
    if suffix in TEXTS and member.size > MAX_TEXT_BYTES:
        raise BadRow(f"has {member.size} bytes, more than {MAX_TEXT_BYTES}: refused")
    check_size("the picture", member.size)
    source = tar.extractfile(member)
    assert source is not None  # it is a regular file
    data = source.read()
    if len(data) != member.size:
        raise tarfile.ReadError("unexpected end of data")
    return data


def _sample(
    title: str, key: str | None, parts: Mapping[str, bytes], classes: Sequence[object] | None
) -> Iterator[Row]:
    if not parts:
        return
    where = f"{title} sample {shown(key)}"
    try:
        suffix = _picture_suffix(parts)
        file = f"{key}.{suffix}"
        cells = _fields(parts.get("json", b"{}"))
        if "label" not in cells:
            cells["label"] = _class_name(parts.get("cls", b""), classes)
        record = record_of({"file_name": file, **cells, "file": file})
        yield Row(where, record, parts[suffix])
    except BadRow as problem:
        yield Row(where, problem=str(problem))


def _picture_suffix(parts: Mapping[str, bytes]) -> str:
    pictures = sorted(parts.keys() & PICTURES)
    if len(pictures) != 1:
        raise BadRow(f"has {len(pictures)} pictures: one is needed")
    return pictures[0]


def _fields(data: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadRow(f"its .json is not JSON ({error}): correct it") from error
    if not isinstance(fields, dict):
        raise BadRow("its .json is not an object: correct it")
    return fields


def _class_name(data: bytes, classes: Sequence[object] | None) -> object:
    """What ``.cls`` says: a name, or the place of one in ``classes.json``."""
    text = data.decode("utf-8", "surrogateescape").strip()
    if classes is None or not text:
        return text
    if text == str(NO_CLASS):
        return None
    if not text.isdecimal() or int(text) >= len(classes):
        raise BadRow(f".cls {shown(text)} is no place in {CLASSES_FILE}, which has {len(classes)} names")
    return classes[int(text)]


def _read_classes(path: Path) -> Sequence[object] | None:
    if not path.is_file():
        return None
    try:
        classes = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise OpsError(f"{path} cannot be read ({error}): correct it or take it away") from error
    if not isinstance(classes, list):
        raise OpsError(f"{path} is not a JSON list of class names: correct it or take it away")
    return classes


def class_names(records: Iterable[Record]) -> list[str]:
    """Names in the order that ``.cls`` counts them."""
    return sorted({one.label for one in records if one.label and one.label_kind is LabelKind.CLASS})


def write_classes(folder: Path, names: Sequence[str]) -> None:
    """Write ``classes.json`` into ``folder``."""
    (folder / CLASSES_FILE).write_text(f"{json_text(list(names))}\n", encoding="utf-8")


class ShardWriter:
    """One shard; the same samples give the same bytes."""

    def __init__(self, sink: BinaryIO, names: Sequence[str]) -> None:
        self._tar = tarfile.open(  # noqa: SIM115 - ``close`` ends it
            fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT
        )
        self._numbers = {name: number for number, name in enumerate(names)}

    def extend(self, records: Iterable[Record], pictures: Iterable[bytes]) -> None:
        """Append a sample per record."""
        for record, picture in zip(records, pictures, strict=True):
            self._add(record, picture)

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()

    def _add(self, record: Record, picture: bytes) -> None:
        number = NO_CLASS
        if record.label is not None and record.label_kind is LabelKind.CLASS:
            number = self._numbers[record.label]
        cells = cells_of(record)
        del cells["file"]
        self._member(record, "cls", str(number).encode())
        self._member(record, "json", json_text(cells).encode())
        self._member(record, suffix_of(picture), picture)

    def _member(self, record: Record, suffix: str, data: bytes) -> None:
        member = tarfile.TarInfo(f"{record.image_id}.{suffix}")  # of nobody and of no time
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))
