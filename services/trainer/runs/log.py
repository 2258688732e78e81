"""The log file of a run, in the object store while it is written.

Parts ``runs/<run_id>/log/NNNNNN.txt`` come every some seconds and are joined to ``log.txt`` at the end; a
run that goes on after its trainer died, here or elsewhere, adds its parts behind those that are there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import UTC, datetime

from contracts.manifests import Buckets
from contracts.values import ObjectRef
from services.runtime.objectstore import ObjectMissing, ObjectStore
from services.trainer.fitting.faults import STORE_FAULTS

TEXT = "text/plain; charset=utf-8"
LOG = logging.getLogger(__name__)


class RunLog(logging.Handler):
    """Lines with their time; as a logging handler it takes warnings and worse of all libraries."""

    def __init__(self, store: ObjectStore, run_id: str, every_s: float) -> None:
        super().__init__(logging.WARNING)
        self._store, self._place, self._every_s = store, f"runs/{run_id}/log", every_s
        self._waiting: list[str] = []
        self._guard = threading.Lock()
        self._sending = threading.Lock()
        self._ended = threading.Event()
        self._next = _following(store.list(Buckets.MODELS, f"{self._place}/"))
        self._thread = threading.Thread(target=self._run, name="run-log", daemon=True)
        self._thread.start()

    def say(self, *lines: str) -> None:
        """Write lines for a person to read."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        with self._guard:
            self._waiting += [f"{now}  {line}\n" for text in lines for line in text.splitlines()]

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler; urllib3 tells of its retries, which are about this very file."""
        if record.name != __name__ and not record.name.startswith("urllib3"):
            self.say(f"{record.levelname.lower()}: {record.getMessage()}")

    def finish(self) -> ObjectRef:
        """Join what was written by all lives of the run.

        Raises:
            STORE_FAULTS: the store is away.
        """
        self._ended.set()
        self._thread.join()
        self._send()
        keys = sorted(self._store.list(Buckets.MODELS, f"{self._place}/"))
        parts = [self._read(key) for key in [f"{self._place}.txt", *keys]]
        whole = self._store.put(Buckets.MODELS, f"{self._place}.txt", b"".join(parts), TEXT)
        for key in keys:
            self._store.remove(Buckets.MODELS, key)
        return whole

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                self._send()
            except STORE_FAULTS as error:  # the lines wait for the next time
                LOG.warning("the log could not be put into the store: %s", error)

    def _send(self) -> None:
        with self._sending:
            with self._guard:
                lines = list(self._waiting)
            if not lines:
                return
            key = f"{self._place}/{self._next:06d}.txt"
            self._store.put(Buckets.MODELS, key, "".join(lines).encode(), TEXT)
            self._next += 1
            with self._guard:
                del self._waiting[: len(lines)]

    def _read(self, key: str) -> bytes:
        try:
            return b"".join(self._store.stream(Buckets.MODELS, key))
        except ObjectMissing:
            return b""


def _following(keys: Iterable[str]) -> int:
    """The number of the first part that is not there yet."""
    return max((int(key.rpartition("/")[2].partition(".")[0]) for key in keys), default=0) + 1
