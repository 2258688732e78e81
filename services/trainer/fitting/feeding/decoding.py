"""Pixels of normalised PNGs, straight into a batch; doubtful files get Pillow's verdict."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from services.trainer.domain.errors import TrainingError
from services.trainer.fitting.feeding.examples import Pixels

BEGINNING = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
HEADER = struct.Struct(">II5B")
PLAIN_RGB = (8, 2, 0, 0, 0)
"""Depth, colour type, packing, filtering and interlacing of what ingest writes."""
MOST_BITS = 8
"""Of a channel: what Pillow makes of 16 bits of grey is white, which no reader of the model agrees with."""
REMEDY = "normalise the library again and pack a new snapshot"


def decode_into(png: bytes, out: Pixels, image_id: str) -> None:
    """Write the pixels of one normalised image to ``out`` [S, S, 3].

    Raises:
        TrainingError: it is not of that size, has more than 8 bits a channel, or does not decode.
    """
    side = out.shape[0]
    if _kind_of(png, side, image_id) == PLAIN_RGB:
        # 1.35 times as quick as Pillow, and it lets other threads run all the time.
        picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        if picture is not None:
            cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=out)
            return
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as opened:
            out[:] = np.asarray(opened.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise TrainingError(f"image {image_id} does not decode: {error}", REMEDY) from error


def _kind_of(png: bytes, side: int, image_id: str) -> tuple[int, ...]:
    """What stands in the header after the size; so a bomb is refused before it is decoded."""
    if png[:16] != BEGINNING or len(png) < 16 + HEADER.size:
        raise TrainingError(f"image {image_id} does not decode: its {len(png)} bytes are no PNG", REMEDY)
    width, height, *kind = HEADER.unpack_from(png, 16)
    if (width, height) != (side, side):
        raise TrainingError(f"image {image_id} is {width} x {height} px, the snapshot says {side} px", REMEDY)
    if kind[0] > MOST_BITS:
        raise TrainingError(
            f"image {image_id} has {kind[0]} bits a channel, training takes {MOST_BITS}", REMEDY
        )
    return tuple(kind)
