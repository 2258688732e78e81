"""Colour profiles: what a picture shows counts, not the numbers it is written with."""

from __future__ import annotations

import struct

import pytest
from PIL import Image, ImageCms

from services.ingest.domain import colour
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised
from tests.support.pictures import RULES, decoded, encoded, heic, noise

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = SRGB.replace(b"rXYZ", b"keep").replace(b"gXYZ", b"rXYZ").replace(b"keep", b"gXYZ")
"""What says red under it is green."""


def grey_profile(gamma: float) -> bytes:
    """The smallest profile of grey pictures (ICC.1:2022 sections 7 and 10.6)."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    tags = (
        struct.pack(">I", 2) + b"wtpt" + struct.pack(">II", 156, 20) + b"kTRC" + struct.pack(">II", 176, 16)
    )
    body = tags + white + curve
    header = bytearray(128)
    header[:4] = struct.pack(">I", 128 + len(body))
    header[8:12] = b"\x02\x40\0\0"
    header[12:24] = b"mntrGRAYXYZ "
    header[36:40] = b"acsp"
    header[68:80] = white[8:]
    return bytes(header) + body


def picture(data: bytes) -> Normalised:
    result = normalise(data, RULES)
    assert isinstance(result, Normalised), result
    return result


def middle(result: Normalised) -> tuple[int, ...]:
    pixel = decoded(result.png).getpixel((32, 32))
    assert isinstance(pixel, tuple)
    return pixel


def written(image_format: str, image: Image.Image, profile: bytes) -> bytes:
    if image_format == "HEIF":
        image.info["icc_profile"] = profile
        return heic(image, quality=95)
    return encoded(image, image_format, icc_profile=profile)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_colours_of_a_profile_become_srgb(image_format: str) -> None:
    result = picture(written(image_format, Image.new("RGB", (64, 64), (230, 20, 20)), SWAPPED))
    assert middle(result) == pytest.approx((20, 230, 20), abs=12)


def test_the_identity_of_a_picture_is_what_it_shows() -> None:
    plain = noise(40, 30)
    assert picture(encoded(plain, icc_profile=SWAPPED)).pixel_sha256 != picture(encoded(plain)).pixel_sha256


def test_an_srgb_profile_changes_no_pixel() -> None:
    plain = noise(40, 30)
    assert picture(encoded(plain, icc_profile=SRGB)).pixel_sha256 == picture(encoded(plain)).pixel_sha256


def test_a_profile_counts_under_alpha_too() -> None:
    image = Image.new("RGBA", (64, 64), (230, 20, 20, 128))
    assert middle(picture(encoded(image, icc_profile=SWAPPED))) == pytest.approx((10, 115, 10), abs=6)


def test_grey_has_its_profiles_too() -> None:
    linear = encoded(Image.new("L", (64, 64), 55), icc_profile=grey_profile(1.0))
    # 55/255 of the light is 0.2157, which sRGB writes as 0.5019 x 255 (IEC 61966-2-1).
    assert middle(picture(linear)) == pytest.approx((128, 128, 128), abs=2)


@pytest.mark.parametrize(
    "profile",
    [b"no profile at all" * 20, SWAPPED[:200], SWAPPED[:128] + bytes(400), grey_profile(1.0), b"\xff" * 5000],
)
def test_a_broken_or_foreign_profile_is_ignored(profile: bytes) -> None:
    image = noise(40, 30)
    assert picture(encoded(image, icc_profile=profile)).pixel_sha256 == picture(encoded(image)).pixel_sha256


def test_an_enormous_profile_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(colour, "MAX_PROFILE_BYTES", len(SWAPPED) - 1)
    image = noise(40, 30)
    assert picture(encoded(image, icc_profile=SWAPPED)).pixel_sha256 == picture(encoded(image)).pixel_sha256


def test_pictures_of_one_profile_do_not_change_each_other() -> None:
    data = encoded(Image.new("RGB", (64, 64), (230, 20, 20)), icc_profile=SWAPPED)
    assert [picture(data) for _ in range(3)] == [picture(data)] * 3
