"""One supervisor per data directory; the kernel lets go of the lock when its holder dies."""

from __future__ import annotations

import fcntl
import os
from typing import IO

from services.ops.clients.errors import OpsError
from services.ops.stack.layout import Layout


class StackLock:
    """Held from start to stop."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take it at once.

        Raises:
            OpsError: another supervisor has it.
        """
        file = self._layout.lock_file.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            root = self._layout.root
            raise OpsError(
                f"a stack already runs in {root} (process {holder}): use it, stop it with "
                f"`menagerie down --data-dir {root}`, or choose another --data-dir"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let go; harmless when it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None


def is_held(layout: Layout) -> bool:
    """Whether some supervisor has the directory now."""
    lock = StackLock(layout)
    if not layout.lock_file.exists():
        return False
    try:
        lock.acquire()
    except OpsError:
        return True
    lock.release()
    return False
