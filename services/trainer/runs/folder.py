"""The folder of a run on this machine: one child works in it at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

LOOK_EVERY_S = 0.2


class FolderBusy(Exception):
    """A child that was left behind still works in the folder; it ends by itself soon (runtime/orders.py)."""


@contextlib.contextmanager
def alone_in(folder: Path, wait_s: float) -> Iterator[None]:
    """Hold the folder's lock, which the kernel gives back however this process ends.

    Raises:
        FolderBusy: another process held it for ``wait_s``.
    """
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until = time.monotonic() + wait_s
        while not _taken(handle):
            if time.monotonic() > until:
                raise FolderBusy(f"another process has worked in {folder} for {wait_s:g} s")
            time.sleep(LOOK_EVERY_S)
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
