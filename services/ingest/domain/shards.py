"""Tar shards whose every byte follows from the members' names, sizes and bytes (POSIX ustar)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.manifests import ShardPlace
from services.ingest.domain.state import LibraryImage

BLOCK_BYTES = 512
RECORD_BYTES = 20 * BLOCK_BYTES  # tar's default blocking; the file ends on a whole record
MEMBER_MODE = 0o644
MAX_MEMBER_BYTES = 8**11 - 1  # eleven octal digits


@dataclass(frozen=True)
class Shard:
    """One tar file: its object key, its members in order, and where each one's bytes lie."""

    key: str
    members: tuple[LibraryImage, ...]
    places: tuple[ShardPlace, ...]
    size_bytes: int


def plan(images: Sequence[LibraryImage], snapshot_id: str, shard_images: int) -> list[Shard]:
    """Shards of at most ``shard_images`` members; ``images`` are sorted by image id."""
    starts = range(0, len(images), shard_images)
    return [
        _shard(f"{snapshot_id}/shard-{number:05d}.tar", images[start : start + shard_images])
        for number, start in enumerate(starts)
    ]


def member_name(image: LibraryImage) -> str:
    """Name inside the tar: the image id, never what the uploader called the file."""
    return f"{image.image_id}.png"


def header(name: str, size_bytes: int) -> bytes:
    """The ustar header block of a regular file that belongs to nobody and is of no time.

    Raises:
        ValueError: the name or the size does not fit into ustar's fields.
    """
    encoded = name.encode()
    if len(encoded) > 100 or not 0 <= size_bytes <= MAX_MEMBER_BYTES:
        raise ValueError(f"member {name!r} of {size_bytes} bytes does not fit into a ustar header; split it")
    fields = (
        encoded.ljust(100, b"\0"),
        b"%07o\0" % MEMBER_MODE,
        b"%07o\0" % 0,  # uid
        b"%07o\0" % 0,  # gid
        b"%011o\0" % size_bytes,
        b"%011o\0" % 0,  # mtime
        b" " * 8,  # the checksum counts its own field as spaces
        b"0",  # a regular file
        b"\0" * 100,
        b"ustar\00000",
        b"\0" * 64,  # no user and group name
        b"\0" * 16,  # no device numbers
        b"\0" * 167,
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padding(size_bytes: int) -> int:
    """Zero bytes after a member, up to the next block."""
    return -size_bytes % BLOCK_BYTES


def _shard(key: str, images: Sequence[LibraryImage]) -> Shard:
    places = []
    position = 0
    for image in images:
        position += BLOCK_BYTES
        size = image.normalised.size
        places.append(ShardPlace(shard=key, offset=position, size=size, sha256=image.normalised.sha256))
        position += size + padding(size)
    position += 2 * BLOCK_BYTES  # end of archive
    position += -position % RECORD_BYTES
    return Shard(key, tuple(images), tuple(places), position)
