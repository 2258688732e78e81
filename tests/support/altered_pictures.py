"""What people do to a picture before they upload it again, done to good ones on purpose.

Every alteration takes an RGB picture and a random generator and gives an RGB picture; those that leave an
application do so as JPEG. Crops keep ``1 - share`` of the width and of the height, at a random place.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from enum import StrEnum

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

Alteration = Callable[[Image.Image, np.random.Generator], Image.Image]

SAVED_QUALITY = 88
WORDS = ("WILDLIFE CAM", "\u00a9 J. Doe 2024", "sample", "PREVIEW ONLY", "zoo.example")


class Family(StrEnum):
    """Alterations that are reported as one figure."""

    MILD = "mild"
    CROP_SMALL = "crop up to 2.5 %"
    CROP_LARGE = "crop 5 to 15 %"
    WATERMARK = "watermark"
    ROTATED = "rotated by 2 degrees"
    TURNED = "mirror and quarter turns"
    TURNED_MILD = "mirror and quarter turns, re-encoded small"


def resized(factor: float) -> Alteration:
    """Lanczos."""

    def alter(image: Image.Image, _: np.random.Generator) -> Image.Image:
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        return image.resize(size, Image.Resampling.LANCZOS)

    return alter


def encoded(image_format: str, quality: int) -> Alteration:
    """Through an encoder and back."""

    def alter(image: Image.Image, _: np.random.Generator) -> Image.Image:
        sink = io.BytesIO()
        image.save(sink, image_format, quality=quality)
        return Image.open(sink).convert("RGB")

    return alter


def brightened(factor: float) -> Alteration:
    """All levels times the factor, clipped."""
    return lambda image, _: ImageEnhance.Brightness(image).enhance(factor)


def contrasted(factor: float) -> Alteration:
    """All levels moved from the mean or towards it."""
    return lambda image, _: ImageEnhance.Contrast(image).enhance(factor)


def grey(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """Without colour."""
    return image.convert("L").convert("RGB")


def cropped(share: float) -> Alteration:
    """``1 - share`` of the width and of the height, at a random place."""

    def alter(image: Image.Image, chance: np.random.Generator) -> Image.Image:
        width = max(1, round(image.width * (1 - share)))
        height = max(1, round(image.height * (1 - share)))
        left = int(chance.integers(0, image.width - width + 1))
        top = int(chance.integers(0, image.height - height + 1))
        return image.crop((left, top, left + width, top + height))

    return alter


def rotated(degrees: float) -> Alteration:
    """As an editor straightens a horizon: turned, then cut to the largest upright part without corners."""

    def alter(image: Image.Image, chance: np.random.Generator) -> Image.Image:
        angle = degrees if chance.random() < 0.5 else -degrees
        turned = image.rotate(angle, Image.Resampling.BICUBIC)
        slope = np.tan(np.radians(degrees)) / 2
        across, down = round(image.height * slope), round(image.width * slope)
        return turned.crop((across, down, image.width - across, image.height - down))

    return alter


def turned(how: Image.Transpose) -> Alteration:
    """Mirrored, or by quarter turns."""
    return lambda image, _: image.transpose(how)


def centre_text(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    """A line of white text over three quarters of the width, half transparent, in the middle."""
    words = WORDS[int(chance.integers(len(WORDS)))]
    font = _font_of_width(words, image.width * 0.75)
    layer = Image.new("RGBA", image.size)
    place = (image.width / 2, image.height * float(chance.uniform(0.4, 0.6)))
    ImageDraw.Draw(layer).text(
        place, words, (255, 255, 255, 140), font, anchor="mm", stroke_width=1, stroke_fill=(0, 0, 0, 90)
    )
    return _laid_over(image, layer)


def corner_logo(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    """A filled box with a name in one corner: a quarter of the width, a ninth of the height."""
    width, height = round(image.width * 0.26), round(image.height * 0.11)
    margin = round(max(image.size) * 0.02)
    left = margin if chance.random() < 0.5 else image.width - margin - width
    top = margin if chance.random() < 0.5 else image.height - margin - height
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    box, ink = ((20, 60, 120, 230), "white") if chance.random() < 0.5 else ((245, 245, 245, 230), "black")
    draw.rounded_rectangle((left, top, left + width, top + height), height // 5, box)
    words = WORDS[int(chance.integers(len(WORDS)))]
    font = _font_of_width(words, width * 0.85)
    draw.text((left + width / 2, top + height / 2), words, ink, font, anchor="mm")
    return _laid_over(image, layer)


def tiled_text(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    """Slanted text all over, 40 % opaque, as picture agencies do."""
    words = WORDS[int(chance.integers(len(WORDS)))]
    font = _font_of_width(words, image.width * 0.28)
    side = round(1.5 * max(image.size))
    sheet = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(sheet)
    across, down = round(image.width * 0.36), round(image.height * 0.2)
    for row, top in enumerate(range(0, side, max(1, down))):
        for left in range(-across * (row % 2) // 2, side, max(1, across)):
            draw.text((left, top), words, (255, 255, 255, 102), font)
    slanted = sheet.rotate(30, Image.Resampling.BICUBIC)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    return _laid_over(image, slanted.crop((left, top, left + image.width, top + image.height)))


def slanted_stamp(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    """One word in heavy opaque letters from corner to corner."""
    diagonal = float(np.hypot(*image.size))
    font = _font_of_width("SAMPLE", diagonal * 0.75)
    side = round(diagonal)
    sheet = Image.new("RGBA", (side, side))
    ink = [(255, 255, 255, 255), (200, 20, 20, 255), (0, 0, 0, 255)][int(chance.integers(3))]
    stroke = max(1, side // 150)
    ImageDraw.Draw(sheet).text(
        (side / 2, side / 2), "SAMPLE", ink, font, anchor="mm", stroke_width=stroke, stroke_fill=ink
    )
    angle = float(np.degrees(np.arctan2(image.height, image.width)))
    slanted = sheet.rotate(angle if chance.random() < 0.5 else -angle, Image.Resampling.BICUBIC)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    return _laid_over(image, slanted.crop((left, top, left + image.width, top + image.height)))


def banner(image: Image.Image, chance: np.random.Generator) -> Image.Image:
    """An opaque bar with a name over the lowest or highest tenth, as cameras and networks add it."""
    height = max(1, round(image.height * 0.1))
    top = 0 if chance.random() < 0.3 else image.height - height
    paper, ink = ("black", "white") if chance.random() < 0.5 else ("white", "black")
    marked = image.copy()
    draw = ImageDraw.Draw(marked)
    draw.rectangle((0, top, image.width, top + height), paper)
    words = WORDS[int(chance.integers(len(WORDS)))]
    draw.text(
        (image.width / 20, top + height / 2),
        words,
        ink,
        _font_of_width(words, image.width * 0.4),
        anchor="lm",
    )
    return marked


def _font_of_width(words: str, width_px: float) -> ImageFont.FreeTypeFont:
    known = ImageFont.load_default(40)
    assert isinstance(known, ImageFont.FreeTypeFont)
    return known.font_variant(size=max(4, round(40 * width_px / known.getlength(words))))


def _laid_over(image: Image.Image, layer: Image.Image) -> Image.Image:
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def _then(*steps: Alteration) -> Alteration:
    def alter(image: Image.Image, chance: np.random.Generator) -> Image.Image:
        for step in steps:
            image = step(image, chance)
        return image

    return alter


def _saved(alteration: Alteration) -> Alteration:
    return _then(alteration, encoded("JPEG", SAVED_QUALITY))


TURNS = tuple(Image.Transpose)

ALTERATIONS: dict[Family, dict[str, Alteration]] = {
    Family.MILD: {
        **{f"resized x {factor:g}": _saved(resized(factor)) for factor in (0.25, 0.5, 2.0)},
        **{f"JPEG {quality}": encoded("JPEG", quality) for quality in (30, 50, 70, 85, 95)},
        "WebP 60": encoded("WEBP", 60),
        **{f"brightness x {factor:g}": _saved(brightened(factor)) for factor in (0.6, 0.8, 1.2, 1.4)},
        **{f"contrast x {factor:g}": _saved(contrasted(factor)) for factor in (0.7, 1.4)},
        "grey": _saved(grey),
    },
    Family.CROP_SMALL: {f"crop {share:g} %": _saved(cropped(share / 100)) for share in (1, 2, 2.5)},
    Family.CROP_LARGE: {f"crop {share:g} %": _saved(cropped(share / 100)) for share in (5, 10, 15)},
    Family.WATERMARK: {
        "text across the centre": _saved(centre_text),
        "logo in a corner": _saved(corner_logo),
        "text all over": _saved(tiled_text),
        "banner over a tenth": _saved(banner),
        "heavy word from corner to corner": _saved(slanted_stamp),
    },
    Family.ROTATED: {"rotated by 2 degrees": _saved(rotated(2))},
    Family.TURNED: {how.name.lower().replace("_", " "): _saved(turned(how)) for how in TURNS},
    Family.TURNED_MILD: {
        f"{how.name.lower().replace('_', ' ')}, half size, JPEG 60": _then(
            turned(how), resized(0.5), encoded("JPEG", 60)
        )
        for how in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90)
    },
}
"""By family, then by name."""
