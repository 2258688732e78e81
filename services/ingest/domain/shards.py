"""Tar shards whose every byte follows from the members' names, sizes and bytes (POSIX ustar)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from contracts.values import ImageId
from services.ingest.domain.state import LibraryImage

SHARD_VERSION = 1  # raise it when the same members are to give other bytes
BLOCK_BYTES = 512
RECORD_BYTES = 20 * BLOCK_BYTES  # tar's default blocking; the file ends on a whole record
MEMBER_MODE = 0o644
MAX_MEMBER_BYTES = 8**11 - 1  # eleven octal digits


@dataclass(frozen=True)
class Shard:
    """One tar file: its object key, its members in order, and the offset of each one's bytes."""

    key: str
    members: tuple[LibraryImage, ...]
    offsets: tuple[int, ...]
    size_bytes: int


def appended(new: Iterable[ImageId], last: tuple[int, int] | None, shard_images: int) -> dict[ImageId, int]:
    """Shard number of each new image: the last shard is filled up, then new ones are begun.

    ``last`` is the number of the last shard and how many images it has, None when there is no shard.
    Full shards get nothing, so they stay the objects they are.
    """
    number, held = last or (0, 0)
    numbers: dict[ImageId, int] = {}
    for image_id in sorted(new):
        if held >= shard_images:
            number, held = number + 1, 0
        numbers[image_id] = number
        held += 1
    return numbers


def plan(images: Iterable[LibraryImage]) -> list[Shard]:
    """The shards that the images' numbers make, each sorted by image id."""
    members: Mapping[int, list[LibraryImage]] = defaultdict(list)
    for image in images:
        members[image.shard_number].append(image)
    return [_shard(sorted(members[number], key=lambda image: image.image_id)) for number in sorted(members)]


def contents(shard: Shard, pngs: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of the shard in pieces, out of its members' bytes in their order.

    Raises:
        ValueError: a member has another size than planned, or there are too few or too many.
    """
    for image, png in zip(shard.members, pngs, strict=True):
        if len(png) != image.normalised.size:
            raise ValueError(
                f"image {image.image_id} has {len(png)} bytes, and its place in shard {shard.key} is "
                f"{image.normalised.size} bytes; restore the normalised picture"
            )
        yield header(member_name(image), len(png))
        yield png
        yield bytes(padding(len(png)))
    end = shard.offsets[-1] + shard.members[-1].normalised.size
    yield bytes(shard.size_bytes - end - padding(end))


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


def _shard(images: Sequence[LibraryImage]) -> Shard:
    digest = hashlib.sha256(f"{SHARD_VERSION}\n".encode())
    offsets = []
    position = 0
    for image in images:
        size = image.normalised.size
        digest.update(f"{image.image_id} {image.normalised.sha256} {size}\n".encode())
        position += BLOCK_BYTES
        offsets.append(position)
        position += size + padding(size)
    position += 2 * BLOCK_BYTES  # end of archive
    position += -position % RECORD_BYTES
    return Shard(f"shards/{digest.hexdigest()[:32]}.tar", tuple(images), tuple(offsets), position)
