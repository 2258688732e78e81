"""A phone's photograph, as it is uploaded most often."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import ExifTags, Image

from contracts.values import Box
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, PictureRules
from tests.support.pictures import corners, decoded, encoded

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><secret/></x:xmpmeta>'
SECRETS = (b"Exif", b"xmp", b"secret", b"GPS", b"ICC", b"iCCP", b"eXIf", b"tEXt", b"iTXt", b"zTXt")


def portrait() -> bytes:
    """3000 x 4000 pixels held upright, stored lying on the side, with the place it was taken."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.ImageDescription] = "secret garden"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({
        ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (52.0, 30.0, 29.0),
        ExifTags.GPS.GPSLongitudeRef: "E", ExifTags.GPS.GPSLongitude: (13.0, 20.0, 15.0),
    })  # fmt: skip
    stored = corners(3000, 4000).transpose(Image.Transpose.ROTATE_90)
    data = encoded(stored, "JPEG", quality=95, exif=exif, xmp=XMP, comment=b"secret garden")
    assert stored.size == (4000, 3000)
    assert decoded(data).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    return data


@pytest.fixture(scope="module")
def result() -> Normalised:
    made = normalise(portrait(), PictureRules(299, 160, 64_000_000))
    assert isinstance(made, Normalised), made
    return made


def test_it_comes_out_upright_and_letterboxed_to_the_exact_pixel(result: Normalised) -> None:
    assert (result.width_px, result.height_px) == (3000, 4000)
    # 299 x 3 / 4 = 224.25 wide; the remaining 75 columns are shared, the odd one on the right.
    assert result.content == Box(left=37, top=0, width=224, height=299)
    square = np.asarray(decoded(result.png))
    assert square.shape == (299, 299, 3)
    assert not square[:, :37].any()
    assert not square[:, 37 + 224 :].any()
    assert square[:, 37 : 37 + 224].max(axis=2).min() > 100  # 127 where two colours meet
    quarters = [square[74, 93], square[74, 205], square[224, 93], square[224, 205]]
    wanted = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    assert np.abs(np.array(quarters, dtype=int) - np.array(wanted)).max() <= 3
    # The colours meet in the exact middle, after column 37 + 112 and after row 149.5.
    assert square[10, 37 + 109].tolist() == pytest.approx([255, 0, 0], abs=12)
    assert square[10, 37 + 114].tolist() == pytest.approx([0, 255, 0], abs=12)
    assert square[147, 45].tolist() == pytest.approx([255, 0, 0], abs=12)
    assert square[152, 45].tolist() == pytest.approx([0, 0, 255], abs=12)


def test_nothing_of_it_tells_where_and_when_it_was_taken(result: Normalised) -> None:
    assert [kind for kind, _ in png_chunks(result.png) if kind != b"IDAT"] == [b"IHDR", b"IEND"]
    assert [kind for kind, _ in webp_chunks(result.thumbnail)] == [b"VP8 "]
    for data in (result.png, result.thumbnail):
        assert not any(secret in data for secret in SECRETS)
        image = decoded(data)
        assert not image.getexif()
        assert not {"exif", "xmp", "icc_profile", "comment"} & image.info.keys()


def test_its_thumbnail_is_upright_too(result: Normalised) -> None:
    small = decoded(result.thumbnail).convert("RGB")
    assert small.size == (120, 160)
    assert small.getpixel((30, 40)) == pytest.approx((255, 0, 0), abs=25)
    assert small.getpixel((90, 40)) == pytest.approx((0, 255, 0), abs=25)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += size + 12


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
