"""The files below a folder, in the same order each time."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple


class FolderRefused(Exception):
    """There is nothing that could be scanned; the message says why and what to do."""


class Key(NamedTuple):
    """A file that changed has another one (unless somebody sets its times back)."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass
class Files:
    """All plain files; ``names`` are below the folder, as bytes, in the order of their parts."""

    folder: bytes
    names: list[bytes] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    refused: list[tuple[bytes, str]] = field(default_factory=list)
    """Folders that may not be looked into, with the reason."""
    links: int = 0
    """Symbolic links, which are not followed: what they point at is either here, or elsewhere."""

    def path(self, number: int) -> bytes:
        """Where a file lies."""
        return os.path.join(self.folder, self.names[number])  # noqa: PTH118 - of bytes


def find(folder: Path) -> Files:
    """Every plain file below; hidden files and folders are left out, symbolic links counted.

    Raises:
        FolderRefused: no folder, or it may not be read.
    """
    if not folder.exists():
        raise FolderRefused(f"{folder} does not exist: give a folder of pictures")
    if not folder.is_dir():
        raise FolderRefused(f"{folder} is no folder: give the one that it lies in")
    files = Files(os.fsencode(folder))
    _walk(files, b"")
    if not files.names and files.refused and files.refused[0][0] == b"":
        raise FolderRefused(f"{folder} cannot be read ({files.refused[0][1]}): ask its owner")
    return files


def _walk(files: Files, below: bytes) -> None:
    waiting = [below]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(os.path.join(files.folder, inside)) as listing:  # noqa: PTH118
                entries = sorted((entry for entry in listing if not entry.name.startswith(b".")), key=_order)
        except OSError as error:
            files.refused.append((inside, error.strerror or type(error).__name__))
            continue
        folders = []
        for entry in entries:
            name = os.path.join(inside, entry.name)  # noqa: PTH118
            if entry.is_symlink():
                files.links += 1
            elif entry.is_dir():
                folders.append(name)
            else:
                _take(files, entry, name)
        waiting.extend(reversed(folders))


def _order(entry: os.DirEntry[bytes]) -> bytes:
    return entry.name


def _take(files: Files, entry: os.DirEntry[bytes], name: bytes) -> None:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:  # it went away since
        return
    if S_ISREG(status.st_mode):
        files.names.append(name)
        files.keys.append(
            Key(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        )
