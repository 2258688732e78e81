"""Where a run stands, as one file: enough to go on as if nothing had happened (no pickle, no code).

Bytes: MAGIC, sha256 of all that follows, length of the header (8 bytes, little endian), the header as
JSON, then the arrays one after another. Keras' own ways keep neither the states of random layers nor the
place within an epoch, and a run resumed from them ends with other weights (measured).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.manifests import Epoch

MAGIC = b"MNGCKPT1"
UNFINISHED = ".part"
CHUNK_BYTES = 2**20

Array = NDArray[Any]


class CheckpointDamaged(Exception):
    """The file is no checkpoint, or not the one that was written."""


@dataclass(frozen=True)
class Spent:
    """How long the steps so far of an epoch that is not over took, and waited for data."""

    seconds: float = 0.0
    waited_s: float = 0.0


@dataclass(frozen=True)
class Checkpoint:
    """State after ``step`` steps of ``epoch`` (from 1).

    ``fingerprint`` says what is trained how: another run's state must not go on here. ``variables`` are the
    model's with the states of its random layers, ``optimizer`` its optimizer's, ``metrics`` what loss and
    accuracy of the epoch add up to; ``kept`` are the weights of the epoch that the curve so far would keep
    (domain/selection.py), none before the first ended.
    """

    fingerprint: str
    epoch: int
    step: int
    spent: Spent
    curve: tuple[Epoch, ...]
    variables: tuple[Array, ...]
    optimizer: tuple[Array, ...]
    metrics: tuple[Array, ...] = ()
    kept: tuple[Array, ...] = ()


class Checkpoints(Protocol):
    """Keeps the newest checkpoint of one run."""

    def newest(self) -> Path | None:
        """The file to go on from, if there is one."""

    def save(self, write: Callable[[Path], None]) -> None:
        """Call ``write`` with a path of its choice, and keep the file that is there then."""


def write_checkpoint(state: Checkpoint, path: Path) -> None:
    """Write ``state`` to ``path``, all of it or nothing: a reader and a crash find the old file or the new.

    The folder is of one run: what a process that was killed did not finish is removed from it.

    Raises:
        OSError: the disk is full, or refuses.
    """
    groups = {name: getattr(state, name) for name in _ARRAYS}
    header = json.dumps(
        {
            "fingerprint": state.fingerprint,
            "epoch": state.epoch,
            "step": state.step,
            "spent": vars(state.spent),
            "curve": [epoch.model_dump(mode="json") for epoch in state.curve],
            "arrays": {name: [_describe(array) for array in arrays] for name, arrays in groups.items()},
        }
    ).encode()
    for left in path.parent.glob(f"*{UNFINISHED}"):
        left.unlink(missing_ok=True)  # of Inception-v4 it takes half a gigabyte
    temporary = path.with_name(f"{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        with temporary.open("wb") as file:
            digest = hashlib.sha256()
            file.write(MAGIC + bytes(digest.digest_size))
            for part in _parts(header, [array for arrays in groups.values() for array in arrays]):
                digest.update(part)
                file.write(part)
            file.seek(len(MAGIC))
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """The state in ``path``.

    Raises:
        CheckpointDamaged: it is cut short, changed, or something else.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        _check_digest(file, path)
        size = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(size))
            arrays = {
                name: tuple(_read_array(file, entry) for entry in header["arrays"][name]) for name in _ARRAYS
            }
            return Checkpoint(
                fingerprint=header["fingerprint"],
                epoch=header["epoch"],
                step=header["step"],
                spent=Spent(**header["spent"]),
                curve=tuple(Epoch.model_validate(epoch) for epoch in header["curve"]),
                **arrays,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointDamaged(f"{path.name}: its header is of another version: {error}") from error


_ARRAYS = ("variables", "optimizer", "metrics", "kept")


def _describe(array: Array) -> dict[str, Any]:
    return {"dtype": array.dtype.str, "shape": list(array.shape)}


def _parts(header: bytes, arrays: Sequence[Array]) -> Iterator[bytes | memoryview]:
    yield len(header).to_bytes(8, "little")
    yield header
    for array in arrays:
        # A view as bytes costs no copy; an empty array has no view.
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b""


def _read_array(file: BufferedReader, entry: dict[str, Any]) -> Array:
    dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
    if dtype.hasobject:
        raise ValueError(f"arrays of {dtype} are not read")
    array = np.empty(shape, dtype)
    if array.size and file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
        raise ValueError("an array is cut short")
    return array


def _check_digest(file: BufferedReader, path: Path) -> None:
    digest = hashlib.sha256()
    if file.read(len(MAGIC)) != MAGIC:
        raise CheckpointDamaged(f"{path.name} is no checkpoint of this version")
    expected, start = file.read(digest.digest_size), file.tell()
    while part := file.read(CHUNK_BYTES):
        digest.update(part)
    if digest.digest() != expected:
        raise CheckpointDamaged(f"{path.name} holds other bytes than were written")
    file.seek(start)


def _sync_folder(folder: Path) -> None:
    """A rename is on disk when its folder is; file systems that cannot say so are left alone."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
