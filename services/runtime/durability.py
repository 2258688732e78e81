"""Makes an embedded S3 server's files survive power loss.

The server answers a PUT once the page cache has it: in a simulated power cut everything of the
last half minute was gone, while the events that named it were synced. So its files are synced
before such an event is published.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

SETTLED_NS = 2_000_000_000
"""A file last written this long before an earlier sync was covered by that sync; the margin is
far above the coarsest timestamp step (file systems round to milliseconds)."""


class SyncBarrier:
    """``sync()`` returns when all that was written under ``root`` before the call is on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._began = 0.0
        self._began_wall_ns = 0

    def sync(self) -> None:
        """Group commit: a caller that waited for the lock may be covered by the run before it."""
        asked = time.monotonic()
        with self._lock:
            if self._began > asked:
                return
            began, wall_ns = time.monotonic(), time.time_ns()
            self._sync_tree(self._began_wall_ns - SETTLED_NS)
            self._began, self._began_wall_ns = began, wall_ns

    def _sync_tree(self, unchanged_before_ns: int) -> None:
        for folder, _, names in os.walk(self._root):
            for name in names:
                self._sync_one(os.path.join(folder, name), unchanged_before_ns)  # noqa: PTH118 - hot path
            self._sync_one(folder, unchanged_before_ns)

    @staticmethod
    def _sync_one(path: str, unchanged_before_ns: int) -> None:
        try:
            status = os.stat(path)  # noqa: PTH116 - hot path
            # ctime too: a rename into place changes no content time.
            if max(status.st_mtime_ns, status.st_ctime_ns) < unchanged_before_ns:
                return
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:  # compacted away meanwhile, or a socket; what replaced it is listed anew
            return
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in {22, 95}:  # EINVAL, ENOTSUP: pipes and sockets cannot be synced
                raise
        finally:
            os.close(descriptor)
