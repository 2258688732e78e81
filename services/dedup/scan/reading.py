"""What a bounded process makes of one file: a record of fixed size, whatever the file holds."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from enum import IntEnum
from pathlib import PurePath

import numpy as np

from services.dedup.scan.decoding import decode, pixel_digest, thumbnail
from services.dedup.scan.formats import SUFFIXES, NotAPicture, recognise
from services.dedup.scan.hashing import SKETCH_BYTES, TURNED_BYTES, hashes_of

MAX_FILE_BYTES = 256 * 2**20
HEAD_BYTES = 256
"""A file whose name promises no picture is looked into this far before it is read."""
REASON_BYTES = 160
DIGEST_BYTES = 32


class State(IntEnum):
    """What became of a file."""

    PICTURE = 1
    FLAT = 2
    """A picture of one grey value, which nothing but its pixels tells from another."""
    OTHER = 3
    """No picture, and its name never said so."""
    UNREADABLE = 4


READING = np.dtype(
    [
        ("number", "<u4"),
        ("state", "u1"),
        ("width", "<u4"),
        ("height", "<u4"),
        ("sharpness", "<u4"),
        ("background", "<u2"),
        ("sha256", np.uint8, (DIGEST_BYTES,)),
        ("turned", np.uint8, (TURNED_BYTES,)),
        ("sketch", np.uint8, (SKETCH_BYTES,)),
        ("reason", f"S{REASON_BYTES}"),
    ]
)
_READING = struct.Struct(f"<IBIIIH{DIGEST_BYTES}s{TURNED_BYTES}s{SKETCH_BYTES}s{REASON_BYTES}s")

PIXELS = np.dtype([("number", "<u4"), ("state", "u1"), ("sha256", np.uint8, (DIGEST_BYTES,))])
SMALL_BYTES = 48 * 1024
"""200 x 200 pixels of noise, as JPEG, have 32 KB."""
SMALL = np.dtype([("number", "<u4"), ("size", "<u4"), ("content", np.uint8, (SMALL_BYTES,))])
_SMALL = struct.Struct(f"<II{SMALL_BYTES}s")
_PIXELS = struct.Struct(f"<IB{DIGEST_BYTES}s")


def reading(number: int, path: bytes) -> bytes:
    """The record (``READING``) of a file."""
    try:
        data = _content(path)
        if data is None:
            return failed(number, State.OTHER, "")
        picture = decode(data)
        made = hashes_of(picture.grey)
    except NotAPicture as error:
        return failed(number, State.UNREADABLE, str(error))
    except MemoryError:
        return failed(number, State.UNREADABLE, "decoding it needs more memory than a file may take")
    except OSError as error:
        return failed(number, State.UNREADABLE, error.strerror or type(error).__name__)
    state = State.FLAT if made.turned is None else State.PICTURE
    return _READING.pack(
        number, state, picture.width_px, picture.height_px, made.sharpness, made.background,
        hashlib.sha256(data).digest(), made.turned or b"", made.sketch or b"", b"",
    )  # fmt: skip


def failed(number: int, state: State, reason: str) -> bytes:
    """The record (``READING``) of a file that could not be compared."""
    short = reason.encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore").encode()
    return _READING.pack(number, state, 0, 0, 0, 0, b"", b"", b"", short)


def pixels(number: int, path: bytes) -> bytes:
    """The record (``PIXELS``) of a file: the digest of all its pixels, at their full size."""
    try:
        return _PIXELS.pack(number, State.PICTURE, pixel_digest(_content(path) or b""))
    except (NotAPicture, MemoryError, OSError):
        return no_pixels(number)


def no_pixels(number: int) -> bytes:
    """The record (``PIXELS``) of a file whose pixels could not be had at their full size."""
    return _PIXELS.pack(number, State.UNREADABLE, b"")


def small(number: int, path: bytes) -> bytes:
    """The record (``SMALL``) of a file: a picture of it to look at."""
    try:
        made = thumbnail(_content(path) or b"")
    except (NotAPicture, MemoryError, OSError):
        return no_small(number)
    return _SMALL.pack(number, len(made), made) if len(made) <= SMALL_BYTES else no_small(number)


def no_small(number: int) -> bytes:
    """The record (``SMALL``) of a file that cannot be shown."""
    return _SMALL.pack(number, 0, b"")


def _content(path: bytes) -> bytes | None:
    """All bytes; None for a file that neither is a picture nor says so.

    Raises:
        NotAPicture: it is no plain file any more, or too large.
        OSError: it may not be read, or went away.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise NotAPicture("it is no plain file any more")
        head = b""
        if not promises_picture(path):
            head = os.read(file, HEAD_BYTES)
            try:
                recognise(head)
            except NotAPicture:
                return None
        if status.st_size > MAX_FILE_BYTES:
            raise NotAPicture(f"it is larger than {MAX_FILE_BYTES // 2**20} MiB")
        return head + _rest(file, status.st_size)
    finally:
        os.close(file)


def _rest(file: int, expected: int) -> bytes:
    data = os.read(file, expected + 1)
    if len(data) >= expected or not data:
        return data
    parts = [data]
    while part := os.read(file, expected + 1):
        parts.append(part)
    return b"".join(parts)


def promises_picture(path: bytes) -> bool:
    """Whether the name ends as those of pictures do."""
    return PurePath(os.fsdecode(path)).suffix.lower() in SUFFIXES
