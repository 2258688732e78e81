"""Which format the bytes are, from their first bytes alone: names lie. The same ones that ingest takes."""

from __future__ import annotations

from services.pictures.formats import accepted_format

SUFFIXES = frozenset(
    (
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp",
        ".heic", ".heif", ".hif", ".avif", ".mpo",
    )
)  # fmt: skip
"""Names that promise a picture: such a file is listed as unreadable when it holds none."""


class NotAPicture(Exception):
    """The file is none that can be compared; the message says why."""


def recognise(data: bytes) -> str:
    """Pillow's name of the format.

    Raises:
        NotAPicture: it is none of the accepted ones.
    """
    if not data:
        raise NotAPicture("the file has no bytes")
    name = accepted_format(data)
    if name is not None:
        return name
    raise NotAPicture("it does not begin as JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF do")
