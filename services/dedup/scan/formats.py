"""Which format the bytes are, from their first bytes alone: names lie. The same ones that ingest takes."""

from __future__ import annotations

ACCEPTED = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
AVIF_BRANDS = frozenset((b"avif", b"avis"))
SHARED_BRANDS = frozenset((b"mif1", b"msf1"))  # they say how the file is laid out, not what codec it holds
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
    for magic, name in ACCEPTED:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brand, box = data[8:12], data[16 : min(int.from_bytes(data[:4]), 256)]
        compatible = {box[at : at + 4] for at in range(0, len(box), 4)}
        if brand in AVIF_BRANDS or (brand in SHARED_BRANDS and compatible & AVIF_BRANDS):
            return "AVIF"
        if brand in HEIF_BRANDS or brand in SHARED_BRANDS:
            return "HEIF"
    raise NotAPicture("it does not begin as JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF do")
