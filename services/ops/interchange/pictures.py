"""Picture files beside a manifest: found safely, named by their content."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.ops.clients.plan import told_name
from services.ops.interchange.records import BadRow, Row, record_of, shown

MAX_PICTURE_BYTES = 32 * 2**20
"""What ingest takes in one file (docs/architecture.md, HTTP)."""
FOLDER = "images"
"""Where an export puts its pictures."""
SUFFIXES = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
    (b"II+\0", "tif"),
    (b"MM\0+", "tif"),
)
ISO_BRANDS = {b"avif": "avif", b"avis": "avif"}
"""Other brands that ingest accepts are HEIC's many (heic, heix, mif1, ...)."""


def suffix_of(data: bytes) -> str:
    """The usual ending of a file that begins like ``data``; ``bin`` for what is no known picture."""
    for magic, suffix in SUFFIXES:
        if data.startswith(magic):
            return suffix
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return ISO_BRANDS.get(data[8:12], "heic")
    return "bin"


def picture_below(folder: Path, file: str | None) -> Path:
    """The picture that a manifest in ``folder`` calls ``file``.

    Raises:
        BadRow: it is not below the folder, is not there, is no regular file or too large.
    """
    if not file:
        raise BadRow("names no file: fill the column in")
    name = file.replace("\\", "/")
    try:
        path = folder / name
        real = path.resolve()
        if name.startswith("/") or not real.is_relative_to(folder.resolve()):
            raise BadRow(f"file {shown(file)} lies outside the manifest's folder: move it there")
        found = real.stat()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadRow(f"file {shown(file)} cannot be read ({reason}): put it there or leave it out") from error
    if not stat.S_ISREG(found.st_mode):
        raise BadRow(f"file {shown(file)} is not a regular file: leave it out")
    check_size(shown(file), found.st_size)
    return path


def check_size(name: str, size_bytes: int) -> None:
    """Raises BadRow when ingest would not take a file of that size."""
    if size_bytes > MAX_PICTURE_BYTES:
        raise BadRow(f"{name} has {size_bytes} bytes, more than {MAX_PICTURE_BYTES}: import a smaller copy")


def row_of(where: str, folder: Path, cells: Mapping[str, Any], suggestions: int = 0) -> Row:
    """The row that ``cells`` of a manifest in ``folder`` say."""
    try:
        file = cells.get("file")
        picture = picture_below(folder, file if isinstance(file, str) else None)
        record = record_of({**cells, "file": told_name(str(file))})
        return Row(where, record, picture, suggestions=suggestions)
    except BadRow as problem:
        return Row(where, problem=str(problem), suggestions=suggestions)
