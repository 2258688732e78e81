"""Good picture files, and what Hypothesis makes of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from tests.support.pictures import animated, encoded, heic, noise, with_orientation

Mutation = Callable[[bytearray], None]
MAX_MUTATIONS = 6


def good_files(image_format: str) -> list[bytes]:
    """Small files that make use of what the format offers."""
    image = noise(36, 28).resize((72, 56), Image.Resampling.BICUBIC)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    match image_format:
        case "JPEG":
            return [
                with_orientation(image, 6, "JPEG", icc_profile=profile, comment=b"a lion"),
                encoded(image, "JPEG", progressive=True, quality=60, restart_marker_rows=1),
                encoded(image.convert("CMYK"), "JPEG"),
                encoded(image.convert("L"), "JPEG", quality=30),
                encoded(image, "MPO", save_all=True, append_images=[image.resize((36, 28))]),
            ]
        case "PNG":
            text = PngImagePlugin.PngInfo()
            text.add_text("Comment", "a lion" * 40, zip=True)
            deep = np.asarray(image.convert("L")).astype(np.uint16) * 257
            return [
                with_orientation(image, 3, "PNG", icc_profile=profile, pnginfo=text),
                encoded(image.quantize(16), transparency=3),
                encoded(image.convert("RGBA"), compress_level=1),
                encoded(image.convert("1")),
                encoded(Image.fromarray(deep)),
                animated("PNG"),
            ]
        case "WEBP":
            return [
                encoded(image, "WEBP", quality=60),
                encoded(image.convert("RGBA"), "WEBP", lossless=True),
                with_orientation(image.convert("RGBA"), 8, "WEBP", icc_profile=profile, xmp=b"<a/>"),
                animated("WEBP"),
            ]
        case "GIF":
            return [encoded(image, "GIF", comment=b"a lion"), animated("GIF")]
        case "TIFF":
            return [
                encoded(image, "TIFF", compression=compression)
                for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
            ] + [animated("TIFF")]
        case "HEIF":
            return [heic(image, tile_size=size, icc_profile=profile) for size in (None, 64)]
        case _:
            return [encoded(image, image_format)]


def mutated(image_format: str) -> st.SearchStrategy[bytes]:
    """A good file with a few mistakes; some land in the header, where they do most."""
    return st.builds(
        _apply,
        st.sampled_from(good_files(image_format)),
        st.lists(MISTAKES, min_size=1, max_size=MAX_MUTATIONS),
    )


def _apply(data: bytes, mistakes: list[Mutation]) -> bytes:
    changed = bytearray(data)
    for mistake in mistakes:
        mistake(changed)
    return bytes(changed)


def _set(share: float, value: int) -> Mutation:
    def change(data: bytearray) -> None:
        if data:
            data[_place(data, share)] = value

    return change


def _put(share: float, value: bytes) -> Mutation:
    def change(data: bytearray) -> None:
        place = _place(data, share)
        data[place : place + len(value)] = value

    return change


def _remove(share: float, count: int) -> Mutation:
    def change(data: bytearray) -> None:
        del data[_place(data, share) : _place(data, share) + count]

    return change


def _repeat(share: float, count: int) -> Mutation:
    def change(data: bytearray) -> None:
        place = _place(data, share)
        data[place:place] = data[place : place + count]

    return change


def _cut(share: float) -> Mutation:
    def change(data: bytearray) -> None:
        del data[_place(data, share) :]

    return change


def _place(data: bytearray, share: float) -> int:
    return int(share * max(0, len(data) - 1))


ANYWHERE = st.one_of(st.floats(0, 1), st.floats(0, 0.1))
EXTREMES = st.sampled_from(
    [b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\xff\xff"]
)
MISTAKES: st.SearchStrategy[Mutation] = st.one_of(
    st.builds(_set, ANYWHERE, st.integers(0, 255)),
    st.builds(_put, ANYWHERE, EXTREMES),
    st.builds(_remove, ANYWHERE, st.integers(1, 40)),
    st.builds(_repeat, ANYWHERE, st.integers(1, 400)),
    st.builds(_cut, ANYWHERE),
)
