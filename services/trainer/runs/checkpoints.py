"""The newest checkpoint of a run: on local disk, and now and then in the object store.

In the store lies one object by its digest, and ``newest.json`` that names it: a reader finds the old
checkpoint or the new one, whole, whenever the writer dies.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contracts.manifests import Buckets
from contracts.values import ObjectRef
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from services.trainer.fitting.faults import STORE_FAULTS

SUFFIX = ".ckpt"
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stored:
    """A checkpoint in the store."""

    number: int
    ref: ObjectRef


class RunCheckpoints:
    """Implements ``fitting.checkpoint.Checkpoints`` for one run.

    Checkpoints are numbered on and on, on whatever machine they are written; the highest number counts.

    Args:
        folder: on local disk, of this run alone.
        on_kept: told the number of a checkpoint that is on disk.
    """

    def __init__(
        self,
        store: ObjectStore,
        run_id: str,
        folder: Path,
        store_every_s: float,
        on_kept: Callable[[int], None] = lambda number: None,
    ) -> None:
        self._store, self._run_id, self._folder = store, run_id, folder
        self._store_every_s, self._on_kept = store_every_s, on_kept
        self._number = 0
        self._stored: Stored | None = None
        self._upload: threading.Thread | None = None
        self._uploaded_at = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    def newest(self) -> Path | None:
        """The newest of both places, on local disk."""
        local = _newest_in(self._folder)
        self._stored = self._look()
        if self._stored is not None and self._stored.number > (_number(local) if local else 0):
            local = self._folder / _name(self._stored.number)
            try:
                self._store.get_file(self._stored.ref, local)
            except (ObjectMissing, ObjectDamaged) as error:
                LOG.warning("the checkpoint in the store cannot be had, the one before it is used: %s", error)
                local = _newest_in(self._folder)
        self._number = _number(local) if local else 0
        return local

    def save(self, write: Callable[[Path], None]) -> None:
        """Keep one more, and send it to the store when that is due."""
        path = self._folder / _name(self._number + 1)
        try:
            write(path)
        except OSError as error:  # a full disk is no reason to lose what is trained
            LOG.warning("no checkpoint could be written to %s: %s", path.parent, error)
            return
        self._number += 1
        for old in self._folder.glob(f"*{SUFFIX}"):
            if _number(old) < self._number:
                old.unlink()
        self._on_kept(self._number)
        if time.monotonic() - self._uploaded_at >= self._store_every_s:
            self._send(path)

    def close(self) -> None:
        """Wait for what is on its way to the store."""
        if self._upload is not None:
            self._upload.join()

    def _send(self, path: Path) -> None:
        """In a thread of its own, one at a time: training goes on meanwhile."""
        if self._upload is not None and self._upload.is_alive():
            return
        self._uploaded_at = time.monotonic()
        leaving = path.with_name("leaving")
        try:
            leaving.unlink(missing_ok=True)
            leaving.hardlink_to(path)  # the next save removes the other name
        except OSError as error:  # a file system without links; the run itself wants none
            LOG.warning("no checkpoint can be sent from %s to the store: %s", path.parent, error)
            return
        self._upload = threading.Thread(target=self._put, args=(leaving, self._number), daemon=True)
        self._upload.start()

    def _put(self, path: Path, number: int) -> None:
        former = self._stored
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            ref = self._store.put_file(Buckets.MODELS, f"{_prefix(self._run_id)}{digest}{SUFFIX}", path)
            pointer = json.dumps({"number": number, "ref": ref.model_dump(mode="json")}).encode()
            self._store.put(Buckets.MODELS, _pointer(self._run_id), pointer, "application/json")
            self._stored = Stored(number, ref)
            if former is not None and former.ref.key != ref.key:
                self._store.remove(Buckets.MODELS, former.ref.key)
        except STORE_FAULTS as error:  # the local one is as good, and the next is sent again
            LOG.warning("checkpoint %d could not be put into the store: %s", number, error)

    def _look(self) -> Stored | None:
        try:
            found = json.loads(b"".join(self._store.stream(Buckets.MODELS, _pointer(self._run_id))))
            return Stored(int(found["number"]), ObjectRef.model_validate(found["ref"]))
        except ObjectMissing:
            return None
        except (ValueError, KeyError, TypeError) as error:
            LOG.warning("newest.json of run %s is not readable: %s", self._run_id, error)
            return None


def remove_checkpoints(store: ObjectStore, run_id: str) -> None:
    """All of a run that is over."""
    for key in list(store.list(Buckets.MODELS, _prefix(run_id))):
        store.remove(Buckets.MODELS, key)


def _newest_in(folder: Path) -> Path | None:
    return max(folder.glob(f"*{SUFFIX}"), key=_number, default=None)


def _name(number: int) -> str:
    return f"{number:08d}{SUFFIX}"


def _number(path: Path) -> int:
    return int(path.stem)


def _prefix(run_id: str) -> str:
    return f"runs/{run_id}/checkpoint/"


def _pointer(run_id: str) -> str:
    return f"{_prefix(run_id)}newest.json"
