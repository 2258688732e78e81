"""The log file of a run, in the object store while it is written.

Parts ``runs/<run_id>/log/NNNNNN.txt`` come every some seconds and are joined to ``log.txt`` at the end; a
run that goes on after its trainer died, here or elsewhere, adds its parts behind those that are there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
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
        self._store, self._run_id, self._every_s = store, run_id, every_s
        self._waiting: list[str] = []
        self._guard = threading.Lock()
        self._sending = threading.Lock()
        self._ended = threading.Event()
        self._finished = False
        self._next = _following(store.list(Buckets.MODELS, f"{_place(run_id)}/"))
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
        """Join what was written by all lives of the run; what is said afterwards is in no file.

        Raises:
            STORE_FAULTS: the store is away.
        """
        self._end()
        self._send()
        whole = join_log(self._store, self._run_id)
        self._finished = True
        return whole

    def close(self) -> None:
        """Send the last lines of a run that goes on later; they say why. Without the store they are lost."""
        self._end()
        if not self._finished:
            self._try_to_send()
        super().close()

    def _end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._try_to_send()

    def _try_to_send(self) -> None:
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
            key = f"{_place(self._run_id)}/{self._next:06d}.txt"
            self._store.put(Buckets.MODELS, key, "".join(lines).encode(), TEXT)
            self._next += 1
            with self._guard:
                del self._waiting[: len(lines)]


def join_log(store: ObjectStore, run_id: str) -> ObjectRef:
    """Join all parts there are to ``log.txt``, in order, behind what it has.

    Killed anywhere and done again, it gives the same file.

    Raises:
        STORE_FAULTS: the store is away.
    """
    place = _place(run_id)
    keys = sorted(store.list(Buckets.MODELS, f"{place}/"))
    whole, parts = _read(store, f"{place}.txt"), [_read(store, key) for key in keys]
    text = whole + b"".join(parts[_joined(whole, parts) :])
    ref = store.put(Buckets.MODELS, f"{place}.txt", text, TEXT)
    for key in keys:
        store.remove(Buckets.MODELS, key)
    return ref


def join_log_left(store: ObjectStore, run_id: str) -> None:
    """The same after a child that was killed; nothing where no parts are left.

    Raises:
        STORE_FAULTS: the store is away.
    """
    if next(iter(store.list(Buckets.MODELS, f"{_place(run_id)}/")), None) is not None:
        join_log(store, run_id)


def _joined(whole: bytes, parts: Sequence[bytes]) -> int:
    """How many of the parts the file has already: a join put it, and was killed before it removed them."""
    text, ends = b"".join(parts), [0]
    for part in parts:
        ends.append(ends[-1] + len(part))
    fitting = (count for count in range(len(parts), -1, -1) if ends[count] <= len(whole))
    return next(count for count in fitting if whole.endswith(text[: ends[count]]))


def _read(store: ObjectStore, key: str) -> bytes:
    try:
        return b"".join(store.stream(Buckets.MODELS, key))
    except ObjectMissing:
        return b""


def _place(run_id: str) -> str:
    return f"runs/{run_id}/log"


def _following(keys: Iterable[str]) -> int:
    """The number of the first part that is not there yet."""
    return max((int(key.rpartition("/")[2].partition(".")[0]) for key in keys), default=0) + 1
