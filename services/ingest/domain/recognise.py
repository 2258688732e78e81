"""Which format the bytes claim to be, from their first bytes alone: names and media types lie."""

from __future__ import annotations

from contracts.values import RejectCode
from services.ingest.domain.picture import Rejection
from services.pictures.formats import accepted_format

REFUSED = (
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x01\x00", "Windows icon"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"DDS ", "DDS"),
    (b"SIMPLE  =", "FITS"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"gimp xcf", "GIMP"),
    (b"v/1\x01", "OpenEXR"),
)
REMEDY = "save it as JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF"
SVG_WINDOW_BYTES = 4096  # an XML prologue with a licence comment fits well within
WEBP_HEADER_BYTES = 30


def recognise(data: bytes) -> str | Rejection:
    """Pillow's name of an accepted format, or why the bytes cannot be an accepted picture."""
    if not data:
        return Rejection(RejectCode.EMPTY, "the file has no bytes; upload it again")
    name = accepted_format(data)
    if name is not None:
        return name
    refused = _refused(data)
    if refused is not None:
        return Rejection(RejectCode.UNSUPPORTED_FORMAT, f"{refused} is not accepted; {REMEDY}")
    return Rejection(
        RejectCode.NOT_AN_IMAGE, f"the file begins with {data[:16]!r}, which no known image format does"
    )


def _refused(data: bytes) -> str | None:
    for magic, name in REFUSED:
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return f"an ISO media file of brand {data[8:12].decode('latin-1')!r} (a video or sound)"
    if data[:1] == b"P" and data[1:2] in b"1234567" and data[2:3] in b" \t\r\n":
        return "Netpbm"
    head = data[:SVG_WINDOW_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<") and b"<svg" in head:
        return "SVG"
    return None


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Canvas (width, height) of a WebP header, None when it is cut short or unknown.

    Pillow's WebP reader allocates the canvas when it opens a file, so its header check comes
    too late (RFC 9649 sections 2.5 to 2.7 for the layout).
    """
    if len(data) < WEBP_HEADER_BYTES:
        return None
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None
