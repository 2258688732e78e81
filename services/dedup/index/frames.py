"""Checksummed frames of fixed-size records, one after the other: ``count``, ``crc``, ``count`` records.

Both numbers are 32 bits, little-endian; the checksum is zlib's CRC-32 of the count's bytes and the records.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.dedup.index.compiled import kernel

FRAME_HEAD = struct.Struct("<II")
MAX_RECORDS = (1 << 32) - 1


def frame(records: bytes, count: int) -> bytes:
    """One frame around ``count`` records."""
    head = struct.pack("<I", count)
    return FRAME_HEAD.pack(count, zlib.crc32(records, zlib.crc32(head))) + records


def unframed(data: NDArray[np.uint8], record_bytes: int) -> tuple[NDArray[np.uint8], int]:
    """The records of all whole frames, shape (n, record_bytes), and where in ``data`` the last one ends.

    Reading stops at the first frame that is cut short or whose checksum is wrong.
    """
    records = np.empty((len(data) // record_bytes, record_bytes), np.uint8)
    count, end = _unframe(data, record_bytes, _TABLES, records.reshape(-1))
    return records[:count], end


def _crc_tables() -> NDArray[np.uint32]:
    """Remainders for a byte that stands 0 to 7 bytes before the end of a group of eight."""
    tables = np.empty((8, 256), np.uint32)
    column = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        column = np.where(column & 1, np.uint32(0xEDB88320) ^ (column >> 1), column >> 1).astype(np.uint32)
    tables[0] = column
    for step in range(1, 8):
        tables[step] = (tables[step - 1] >> 8) ^ column[tables[step - 1] & 0xFF]
    return tables


_TABLES = _crc_tables()


@kernel
def _crc32(data: NDArray[np.uint8], start: int, end: int, crc: np.uint32, tables: NDArray[np.uint32]) -> Any:
    """Eight bytes a step: the table look-ups of a step do not wait for each other."""
    at = start
    while end - at >= 8:
        first = crc ^ _number(data, at)
        crc = np.uint32(0)
        for byte in range(4):
            crc ^= tables[7 - byte, (first >> np.uint32(8 * byte)) & np.uint32(0xFF)]
            crc ^= tables[3 - byte, data[at + 4 + byte]]
        at += 8
    while at < end:
        crc = (crc >> np.uint32(8)) ^ tables[0, (crc ^ data[at]) & np.uint32(0xFF)]
        at += 1
    return crc


@kernel
def _number(data: NDArray[np.uint8], at: int) -> Any:
    """The 32-bit number at ``at``."""
    number = np.uint32(0)
    for byte in range(4):
        number |= np.uint32(data[at + byte]) << np.uint32(8 * byte)
    return number


@kernel
def _unframe(
    data: NDArray[np.uint8], record_bytes: int, tables: NDArray[np.uint32], out: NDArray[np.uint8]
) -> tuple[int, int]:
    written, at, ones = 0, 0, np.uint32(0xFFFFFFFF)
    while len(data) - at >= 8:
        end: Any = at + 8 + np.int64(_number(data, at)) * record_bytes
        if end > len(data):
            break
        crc = _crc32(data, at, at + 4, ones, tables)
        crc = _crc32(data, at + 8, end, crc, tables)
        if (crc ^ ones) != _number(data, at + 4):
            break
        for byte in range(at + 8, end):
            out[written] = data[byte]
            written += 1
        at = end
    return written // record_bytes, at
