"""Which accepted format the bytes claim to be, from their first bytes alone: names and media types lie."""

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
HEIF_BRANDS = frozenset((
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1",
))  # fmt: skip
AVIF_BRANDS = frozenset((b"avif", b"avis"))
SHARED_BRANDS = frozenset((b"mif1", b"msf1"))  # they say how the file is laid out, not what codec it holds


def accepted_format(data: bytes) -> str | None:
    """Pillow's name of an accepted format, else None."""
    for magic, name in ACCEPTED:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _iso_media(data)
    return None


def _iso_media(data: bytes) -> str | None:
    """AVIF or HEIF by the brands of the file type box (ISO/IEC 14496-12 section 4.3), else None."""
    major = data[8:12]
    if major in AVIF_BRANDS:
        return "AVIF"
    if major not in HEIF_BRANDS:
        return None
    box_bytes = min(int.from_bytes(data[:4]), 256)  # a box names a handful of brands
    compatible = {data[at : at + 4] for at in range(16, box_bytes, 4)}
    return "AVIF" if major in SHARED_BRANDS and compatible & AVIF_BRANDS else "HEIF"
