"""Pillow in a process that reads hostile files: what is loaded ahead, what is refused, what errors say."""

from __future__ import annotations

import importlib
import re
from typing import Any

from PIL import Image, UnidentifiedImageError

READERS = ("Avif", "Bmp", "Gif", "Jpeg", "Png", "Tiff", "WebP")
"""Loaded ahead: asked for one it does not know, Pillow loads all forty and whatever they need."""
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def load_readers(max_pixels: int) -> None:
    """Load what reads the accepted formats, HEIC apart; Pillow warns of more than ``max_pixels``."""
    Image.preinit()
    readers: dict[str, Any] = {name: importlib.import_module(f"PIL.{name}ImagePlugin") for name in READERS}
    readers["Avif"].DEFAULT_MAX_THREADS = 1  # the processes are what uses several processors
    Image.MAX_IMAGE_PIXELS = max_pixels


def load_heif_reader() -> None:
    """Late, so that only a process that meets such a file loads it; decoding only, without an encoder.

    Raises:
        ImportError: pi-heif is not installed.
    """
    import pi_heif  # noqa: PLC0415

    pi_heif.register_heif_opener(thumbnails=False, decode_threads=1)


def printable(error: Exception) -> str:
    """What Pillow says of a file in one line, the same each time; it may quote bytes of the file."""
    if isinstance(error, UnidentifiedImageError):
        return "its header is damaged or cut short"
    text = ADDRESS.sub("", str(error)).strip("\0 \n") or type(error).__name__
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
