"""The local copy of one shard: a sparse file, and a journal of the blocks that are in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from io import FileIO
from itertools import groupby
from pathlib import Path

BLOCK_BYTES = 256 * 2**10
"""Unit of the journal: about what a round trip to the store costs."""
READ_BLOCKS = 16
"""Blocks of one read, 4 MiB: what a killed fetch loses of each of its threads."""
WHOLE_SHARE = 0.75
"""A shard of which more is wanted is copied whole: few long reads, and the next run finds the rest."""
LOCK_WAIT_S = 0.1

JOURNAL = ".blocks"


class ShardCopy:
    """An opened copy; while it is open no process removes it.

    The file has the shard's own offsets. Bytes are in it before the journal says so; a power cut
    may lose them all the same, so whoever reads checks the digests of what it reads.

    Args:
        path: of the file; other processes may open it at the same time.
        size_bytes: of the whole shard.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path, self.size_bytes = path, size_bytes
        self.blocks = -(-size_bytes // BLOCK_BYTES)
        # Files, not descriptors: a thread that is late gets an error, and not what was opened since.
        with ExitStack() as opened:
            self._data = opened.enter_context(_open_in_use(path))
            self._journal = opened.enter_context(_opened(Path(f"{path}{JOURNAL}")))
            os.utime(self._journal.fileno())  # its age decides what goes when the disk gets full
            self._files = opened.pop_all()

    def close(self) -> None:
        """Leave the copy to whoever needs its place."""
        self._files.close()

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``, unverified; fewer where the copy ends before."""
        return os.pread(self._data.fileno(), size, offset)

    def write(self, offset: int, data: bytes) -> None:
        """Put ``data`` at its place, and say so nowhere: for repairs, and before ``note``."""
        with memoryview(data) as rest:
            done = 0
            while done < len(data):
                done += os.pwrite(self._data.fileno(), rest[done:], offset + done)

    def note(self, blocks: range) -> None:
        """The journal says from now on that these blocks are here."""
        os.pwrite(self._journal.fileno(), b"\1" * len(blocks), blocks.start)

    def bytes_of(self, blocks: Iterable[int]) -> int:
        """Size of these blocks; the last one of a shard is shorter."""
        return sum(min(BLOCK_BYTES, self.size_bytes - block * BLOCK_BYTES) for block in blocks)

    def wanted(self, places: Iterable[tuple[int, int]]) -> set[int]:
        """Blocks that hold these (offset, size), or all when that is most of them."""
        blocks = {
            block
            for offset, size in places
            for block in range(offset // BLOCK_BYTES, (offset + size - 1) // BLOCK_BYTES + 1)
        }
        return set(range(self.blocks)) if len(blocks) > WHOLE_SHARE * self.blocks else blocks

    def missing(self, wanted: Iterable[int]) -> list[int]:
        """Those of ``wanted`` that are not here, in order."""
        here = os.pread(self._journal.fileno(), self.blocks, 0).ljust(self.blocks, b"\0")
        return sorted(block for block in wanted if not here[block])

    @contextlib.contextmanager
    def fetching(self, wait: Callable[[], None]) -> Iterator[None]:
        """One process at a time fills the copy; ``wait`` is called while another does."""
        while not _try_lock(self._journal):
            wait()
            time.sleep(LOCK_WAIT_S)
        try:
            yield
        finally:
            fcntl.flock(self._journal, fcntl.LOCK_UN)


def runs_of(blocks: Iterable[int]) -> list[range]:
    """Neighbouring blocks together, READ_BLOCKS at most: each is one read."""
    runs: list[range] = []
    for _, group in groupby(enumerate(blocks), key=lambda pair: pair[1] - pair[0]):
        numbers = [block for _, block in group]
        first, end = numbers[0], numbers[-1] + 1
        runs += [range(at, min(at + READ_BLOCKS, end)) for at in range(first, end, READ_BLOCKS)]
    return runs


def remove_unused(path: Path) -> bool:
    """Remove a copy and its journal; False while a process has it open."""
    try:
        data = path.open("r+b", buffering=0)
    except FileNotFoundError:
        return True
    with data:
        if not _try_lock(data):
            return False
        # The journal first: a copy without one counts as empty, a journal without its copy would lie.
        Path(f"{path}{JOURNAL}").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return True


def _open_in_use(path: Path) -> FileIO:
    """Open under a shared lock, which keeps ``remove_unused`` away."""
    while True:
        data = _opened(path)
        fcntl.flock(data, fcntl.LOCK_SH)
        # It may have been removed between the two calls; then its name is another file's, or nobody's.
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(data.fileno()).st_ino == path.stat().st_ino:
                return data
        data.close()


def _opened(path: Path) -> FileIO:
    """For reading and writing, made when it is not there."""
    return FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")


def _try_lock(file: FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
