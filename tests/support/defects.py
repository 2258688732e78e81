"""What goes wrong with pictures, done to good ones on purpose. Lengths are shares of the longer side."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Defect = Callable[[Image.Image], Image.Image]


def samples() -> dict[str, Image.Image]:
    """Two good photographs, 640 x 427: china.jpg by danielbuechele and flower.jpg by vultilion, CC BY 2.0."""
    folder = Path(sklearn.__file__).parent / "datasets" / "images"
    return {name: Image.open(folder / f"{name}.jpg").convert("RGB") for name in ("china", "flower")}


def out_of_focus(image: Image.Image, radius: float) -> Image.Image:
    """Gaussian blur; ``radius`` is its standard deviation."""
    return image.filter(ImageFilter.GaussianBlur(radius * max(image.size)))


def moved(image: Image.Image, length: float, degrees: float) -> Image.Image:
    """The mean of the picture at every pixel along a line."""
    steps = max(2, round(length * max(image.size)))
    across, down = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    total = np.zeros((image.height, image.width, 3), np.float32)
    for step in range(steps):
        away = step - (steps - 1) / 2
        shift = (1, 0, away * across, 0, 1, away * down)
        total += np.asarray(
            image.transform(image.size, Image.Transform.AFFINE, shift, Image.Resampling.BILINEAR)
        )
    margin = math.ceil(steps / 2)  # what came from outside is black
    moved = Image.fromarray((total / steps).astype(np.uint8))
    return moved.crop((margin, margin, image.width - margin, image.height - margin))


def exposed(image: Image.Image, stops: float) -> Image.Image:
    """Half the light per stop below 0, twice the light above, in linear light (IEC 61966-2-1)."""
    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    lit = np.clip(linear * 2.0**stops, 0, 1)
    return _by_table(image, np.where(lit <= 0.0031308, lit * 12.92, 1.055 * lit ** (1 / 2.4) - 0.055) * 255)


def squeezed(image: Image.Image, factor: float) -> Image.Image:
    """All levels nearer to the mean."""
    mean = float(np.asarray(image.convert("L")).mean())
    return _by_table(image, mean + (np.arange(256) - mean) * factor)


def fogged(image: Image.Image, share: float) -> Image.Image:
    """Light grey in front of the scene."""
    return _by_table(image, np.arange(256) * (1 - share) + 200 * share)


def lit_from_behind(image: Image.Image, subject_stops: float, around_stops: float) -> Image.Image:
    """A dark middle, two thirds as high and wide as the picture, before a bright background."""
    mask = Image.new("L", image.size)
    width, height = image.size
    ImageDraw.Draw(mask).ellipse((width / 6, height / 6, width * 5 / 6, height * 5 / 6), fill=255)
    soft = mask.filter(ImageFilter.GaussianBlur(max(image.size) / 100))
    return Image.composite(exposed(image, subject_stops), exposed(image, around_stops), soft)


def nothing(image: Image.Image, seed: int) -> Image.Image:
    """A lens cap or a wall: one colour, a little brighter at one side, with sensor noise."""
    chance = np.random.default_rng(seed)
    slope = np.linspace(-5, 5, image.width)[None, :, None]
    noise = chance.normal(0, 3, (image.height, image.width, 3))
    return Image.fromarray(np.clip(chance.integers(10, 246, 3) + slope + noise, 0, 255).astype(np.uint8))


def framed(image: Image.Image, across: float, down: float, colour: tuple[int, int, int]) -> Image.Image:
    """Bars of one colour to the left and right (``across``) and above and below (``down``)."""
    left, top = round(across * max(image.size)), round(down * max(image.size))
    whole = Image.new("RGB", (image.width + 2 * left, image.height + 2 * top), colour)
    whole.paste(image, (left, top))
    return whole


def shrunk(image: Image.Image, longer_px: int) -> Image.Image:
    """A thumbnail."""
    small = image.copy()
    small.thumbnail((longer_px, longer_px))
    return small


def strip(image: Image.Image, ratio: float) -> Image.Image:
    """The middle rows of a picture, ``ratio`` times as wide as high."""
    half = image.width / ratio / 2
    return image.crop((0, round(image.height / 2 - half), image.width, round(image.height / 2 + half)))


def as_jpeg(image: Image.Image) -> Image.Image:
    """As it comes from a camera or a web page: planted defects must survive compression."""
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=88)
    return Image.open(sink).convert("RGB")


def _by_table(image: Image.Image, levels: NDArray[Any]) -> Image.Image:
    return image.point([round(min(max(float(level), 0.0), 255.0)) for level in levels] * 3)
