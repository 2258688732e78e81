"""The quick way through a picture gives what imagehash and Pillow give, to the last bit."""

from __future__ import annotations

import io
import random
import struct
import zlib

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from services.dedup.domain.fingerprint import DETECTOR, FREQUENCY_FACTOR, HASH_SIZE, of_grey
from services.dedup.scan import hashing
from services.dedup.scan.hashing import KNOWN_AFTER, SIDE_PX, hashes_of
from services.dedup.scan.job import READING_VERSION
from services.dedup.scan.png import SIGNATURE, grey_png
from services.dedup.scan.resampling import columns_first, lanczos, resize
from tests.support.mutations import good_files, mutated
from tests.support.pictures import encoded, noise, photos, png_bomb, png_chunk

MAX_PIXELS = 1_000_000
SIZES = (
    (140, 140),
    (64, 64),
    (299, 120),
    (120, 299),
    (20, 300),
    (3, 1),
    (1, 40),
    (65, 64),
    (500, 333),
    (33, 31),
)


def grey_of(image: Image.Image) -> NDArray[np.uint8]:
    return np.array(image.convert("L"))


def library_hash(grey: NDArray[np.uint8]) -> bytes:
    return np.packbits(imagehash.phash(Image.fromarray(grey), hash_size=16).hash).tobytes()


def drawing(seed: int, width: int = 90, height: int = 90) -> Image.Image:
    """Line art: symmetries and large flat parts, where many frequencies are nearly equal."""
    chance = random.Random(seed)
    image = Image.new("L", (width, height), chance.choice((0, 255)))
    draw = ImageDraw.Draw(image)
    for _ in range(chance.randint(1, 3)):
        left, top = chance.randrange(width), chance.randrange(height)
        box = (left, top, left + chance.randint(1, width), top + chance.randint(1, height))
        (draw.rectangle if chance.random() < 0.6 else draw.ellipse)(box, fill=chance.randrange(256))
    return image


def filtered_png(image: Image.Image, method: int) -> bytes:
    """A PNG all of whose rows have one filter, written as the specification tells."""
    channels = 3 if image.mode == "RGB" else 1
    pixels = np.asarray(image).reshape(image.height, -1).astype(int)
    left, up, corner = np.zeros_like(pixels), np.zeros_like(pixels), np.zeros_like(pixels)
    left[:, channels:], up[1:] = pixels[:, :-channels], pixels[:-1]
    corner[1:, channels:] = pixels[:-1, :-channels]
    guess = left + up - corner
    far = [abs(guess - one) for one in (left, up, corner)]
    paeth = np.where((far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], up, corner))
    taken = (np.zeros_like(pixels), left, up, (left + up) // 2, paeth)[method]
    rows = np.insert((pixels - taken) % 256, 0, method, axis=1).astype(np.uint8)
    head = struct.pack(">IIBBBBB", *image.size, 8, 2 if channels == 3 else 0, 0, 0, 0)
    chunks = (
        png_chunk(b"IHDR", head),
        png_chunk(b"IDAT", zlib.compress(rows.tobytes())),
        png_chunk(b"IEND", b""),
    )
    return SIGNATURE + b"".join(chunks)


@pytest.mark.parametrize("size", SIZES)
def test_hashes_are_those_of_imagehash_on_the_same_pixels(size: tuple[int, int]) -> None:
    pictures = [*photos(*size, count=4), noise(*size), *(drawing(seed, *size) for seed in range(4))]
    for picture in (*pictures, *pictures):  # a size is resized by Pillow at first, then by the kernel
        grey = grey_of(picture)
        made, wanted = hashes_of(grey), of_grey(Image.fromarray(grey))
        assert made.turned == wanted.turned
        assert made.sketch == wanted.sketch
        if made.turned is not None:
            assert 1.0 - made.background / hashing.SKETCH_BYTES == wanted.detail
            assert made.turned[:32] == wanted.hash == library_hash(grey)


@given(seed=st.integers(0, 10_000))
def test_drawings_where_frequencies_are_nearly_equal_have_the_library_s_hash_too(seed: int) -> None:
    grey = grey_of(drawing(seed))
    made = hashes_of(grey)
    assert made.turned == of_grey(Image.fromarray(grey)).turned


def test_a_flat_picture_has_no_hash() -> None:
    assert hashes_of(np.full((9, 12), 77, np.uint8)).turned is None


@given(width=st.integers(1, 300), height=st.integers(1, 300), seed=st.integers(0, 9))
def test_resizing_is_pillow_s(width: int, height: int, seed: int) -> None:
    grey = grey_of(noise(width, height, seed))
    order = columns_first(width, height, SIDE_PX)
    assert order is not None
    made = resize(grey, lanczos(width, SIDE_PX), lanczos(height, SIDE_PX), order)
    wanted = Image.fromarray(grey).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    assert np.array_equal(made, np.asarray(wanted))


def test_a_size_is_asked_of_pillow_again_when_neither_order_gives_its_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hashing, "columns_first", lambda *_: None)
    grey = grey_of(next(photos(140, 140, 1)))
    for _ in range(KNOWN_AFTER):
        assert hashes_of(grey).turned == of_grey(Image.fromarray(grey)).turned


@pytest.mark.parametrize("method", range(5))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_row_filter_is_taken_back(method: int, mode: str) -> None:
    image = noise(37, 23).convert(mode)
    made = grey_png(filtered_png(image, method), MAX_PIXELS)
    assert made is not None
    assert np.array_equal(made, grey_of(image))


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_png_as_pillow_writes_it_needs_no_pillow(mode: str) -> None:
    image = next(photos(61, 40, 1)).convert(mode)
    made = grey_png(encoded(image), MAX_PIXELS)
    assert made is not None
    assert np.array_equal(made, grey_of(image))


def test_what_else_a_png_may_be_is_left_to_pillow() -> None:
    image = noise(20, 10)
    transparent = encoded(image, transparency=(1, 2, 3))
    for data in (
        *good_files("PNG"),
        transparent,
        encoded(image.convert("RGBA")),
        encoded(image, "GIF"),
        b"",
        SIGNATURE,
    ):
        assert grey_png(data, MAX_PIXELS) is None
    assert grey_png(encoded(image), 199) is None
    assert grey_png(png_bomb(40_000, 40_000), MAX_PIXELS) is None


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_png_with_more_or_less_data_than_its_header_says_is_left_to_pillow(wrong: int) -> None:
    data = encoded(noise(20, 10))
    head = struct.pack(">IIBBBBB", 20, 9 + 2 * wrong, 8, 2, 0, 0, 0)
    assert grey_png(SIGNATURE + png_chunk(b"IHDR", head) + data[33:], MAX_PIXELS) is None


def test_an_unknown_row_filter_is_left_to_pillow() -> None:
    rows = np.zeros((4, 1 + 3 * 5), np.uint8)
    rows[2, 0] = 5
    head = struct.pack(">IIBBBBB", 5, 4, 8, 2, 0, 0, 0)
    data = SIGNATURE + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(rows.tobytes()))
    assert grey_png(data + png_chunk(b"IEND", b""), MAX_PIXELS) is None


@given(data=mutated("PNG") | st.binary(max_size=60).map(lambda tail: encoded(noise(9, 9))[:-20] + tail))
def test_a_damaged_png_is_read_as_pillow_reads_it_or_left_to_it(data: bytes) -> None:
    made = grey_png(data, MAX_PIXELS)
    if made is not None:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            assert np.array_equal(made, grey_of(image))


def test_kernels_are_compiled_once_whatever_the_picture_comes_from() -> None:
    hashing.warm_up()
    kernels = (hashing._measures, hashing._sketch, hashing._bits, resize)
    before = [len(kernel.signatures) for kernel in kernels]
    for picture in photos(70, 50, KNOWN_AFTER):
        hashes_of(grey_of(picture))
    assert [len(kernel.signatures) for kernel in kernels] == before == [1, 1, 1, 1]


def test_a_new_detector_goes_with_a_new_version_of_what_scans_remember() -> None:
    assert (READING_VERSION, DETECTOR) == (1, "phash-256/1")
    assert (hashing.HASH_SIZE, hashing.SIDE_PX) == (HASH_SIZE, HASH_SIZE * FREQUENCY_FACTOR)
