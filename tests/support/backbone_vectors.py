"""Similarity vectors of pictures as bulkid makes them before there is a model, for calibrate_dedup."""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.ingest.domain.letterbox import content_box
from tests.support.measured_duplicates import IMAGE_SIZE_PX

if TYPE_CHECKING:
    from services.bulkid.backbone.encoder import Encoder


def pretrained(pictures: list[Image.Image]) -> NDArray[np.float32]:
    """Unit vectors (n, d) of pictures without a letterbox."""
    return np.concatenate(list(_encoder().encode(_letterboxed(picture) for picture in pictures)))


@cache
def _encoder() -> Encoder:
    from services.bulkid.backbone.encoder import pretrained as made

    return made(IMAGE_SIZE_PX)


def _letterboxed(picture: Image.Image) -> bytes:
    box = content_box(*picture.size, IMAGE_SIZE_PX)
    square = Image.new("RGB", (IMAGE_SIZE_PX, IMAGE_SIZE_PX))
    square.paste(picture, (box.left, box.top))
    sink = io.BytesIO()
    square.save(sink, "PNG", compress_level=1)
    return sink.getvalue()
