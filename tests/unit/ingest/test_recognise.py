"""Which format bytes claim to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import RejectCode
from services.ingest.domain.picture import Rejection
from services.ingest.domain.recognise import recognise
from tests.support.pictures import encoded, heic, noise


def file_type(major: bytes, *compatible: bytes) -> bytes:
    body = major + bytes(4) + b"".join(compatible)
    return (8 + len(body)).to_bytes(4) + b"ftyp" + body + bytes(16)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
def test_what_pillow_writes_is_recognised(name: str) -> None:
    assert recognise(encoded(noise(20, 20), name)) == name


def test_heic_is_recognised() -> None:
    assert recognise(heic(noise(64, 64))) == "HEIF"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (file_type(b"heic", b"mif1", b"heic"), "HEIF"),
        (file_type(b"hevc", b"msf1"), "HEIF"),
        (file_type(b"mif1", b"heic"), "HEIF"),
        (file_type(b"mif1", b"miaf", b"avif"), "AVIF"),
        (file_type(b"msf1", b"avis"), "AVIF"),
        (file_type(b"avis", b"mif1"), "AVIF"),
    ],
)
def test_an_iso_media_file_is_what_its_brands_say(data: bytes, name: str) -> None:
    assert recognise(data) == name


@pytest.mark.parametrize("brand", [b"isom", b"mp42", b"qt  ", b"M4A ", b"3gp5", b"crx ", b"\0\xff\n;"])
def test_other_iso_media_is_refused_by_its_brand(brand: bytes) -> None:
    refused = recognise(file_type(brand, b"mif1", b"avif"))
    assert isinstance(refused, Rejection)
    assert refused.code == RejectCode.UNSUPPORTED_FORMAT
    assert repr(brand.decode("latin-1")) in refused.detail
    assert "save it as JPEG" in refused.detail
    assert refused.detail.isprintable()


@given(data=st.binary(max_size=64))
def test_any_bytes_are_a_format_or_a_reason(data: bytes) -> None:
    found = recognise(data)
    if isinstance(found, Rejection):
        assert found.detail.isprintable()
    else:
        assert found in {"JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF"}


@given(rest=st.binary(max_size=300), size=st.integers(0, 2**32 - 1))
def test_a_lying_file_type_box_harms_nothing(rest: bytes, size: int) -> None:
    assert recognise(size.to_bytes(4) + b"ftypmif1" + rest) in {"AVIF", "HEIF"}
