"""Decoded pixels kept from one epoch to the next: in memory when they fit, else in a file, bounded.

Every epoch takes every image once, so what is kept stays: to throw out the oldest would throw out
whatever comes next.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np

from services.trainer.fitting.feeding.examples import Pixels
from services.trainer.fitting.feeding.limits import FeedingLimits

MEMORY_SHARE = 0.4
"""Of the free memory, what decoded pixels may take; the network and its gradients need the rest."""
DISK_SHARE = 0.5
"""Of the free disk; checkpoints and shards of other runs need the rest."""


class Decoded(Protocol):
    """A place for the pixels of some images; thread-safe."""

    def read(self, number: int, out: Pixels) -> bool:
        """Write the pixels of image ``number`` to ``out`` [S, S, 3]; False when they are not kept."""

    def keep(self, number: int, pixels: Pixels) -> None:
        """Keep them, if there is room for that image."""

    def close(self) -> None:
        """Give the place back."""


def decoded_of(count: int, image_size_px: int, limits: FeedingLimits, folder: Path) -> Decoded:
    """The place that the limits, the free memory and the free disk of ``folder`` allow."""
    each = image_size_px * image_size_px * 3
    if count * each <= min(limits.decoded_memory_bytes, MEMORY_SHARE * free_memory()):
        return InArray(count, image_size_px)
    folder.mkdir(parents=True, exist_ok=True)
    room = min(limits.decoded_cache_bytes, int(DISK_SHARE * shutil.disk_usage(folder).free))
    return InFile(min(count, room // each), image_size_px, folder)


class InArray:
    """All images, in memory that is taken as they come."""

    def __init__(self, count: int, image_size_px: int) -> None:
        self._images = np.empty((count, image_size_px, image_size_px, 3), np.uint8)
        self._here = np.zeros(count, np.bool_)

    def read(self, number: int, out: Pixels) -> bool:
        """See Decoded."""
        if not self._here[number]:
            return False
        out[:] = self._images[number]
        return True

    def keep(self, number: int, pixels: Pixels) -> None:
        """See Decoded."""
        self._images[number] = pixels
        self._here[number] = True

    def close(self) -> None:
        """See Decoded."""


class InFile:
    """The first ``count`` images, in a file without a name: it ends with the process, however that ends.

    Read and written by offset rather than mapped: a full disk is then an error and no signal.
    """

    def __init__(self, count: int, image_size_px: int, folder: Path) -> None:
        self._shape = (image_size_px, image_size_px, 3)
        self._each = image_size_px * image_size_px * 3
        self._here = np.zeros(count, np.bool_)
        self._open = True
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - it is closed in ``close``

    def read(self, number: int, out: Pixels) -> bool:
        """See Decoded."""
        if number >= len(self._here) or not self._here[number]:
            return False
        assert out.shape == self._shape
        return os.preadv(self._file.fileno(), [out.data], number * self._each) == self._each

    def keep(self, number: int, pixels: Pixels) -> None:
        """See Decoded; on a full disk nothing more is kept."""
        if number >= len(self._here) or not self._open:
            return
        assert pixels.shape == self._shape
        try:
            written = os.pwrite(self._file.fileno(), pixels.data, number * self._each)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            self._open = False
        else:
            self._here[number] = written == self._each

    def close(self) -> None:
        """See Decoded."""
        self._file.close()


def free_memory() -> int:
    """Bytes that this process can have: of the machine's free memory, and of what it was given."""
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, KeyError), Path("/proc/meminfo").open(encoding="ascii") as file:
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in file}
        free = sizes["MemAvailable"] * 1024  # with the file cache, which the kernel gives back when asked
    return free if limit == resource.RLIM_INFINITY else min(free, limit)
