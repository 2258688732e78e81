"""What earlier scans read, so that the next one decodes only what is new or changed.

A cache: it may be deleted at any time, and one of another version is begun anew. A file that is no such cache
is refused, whatever it is: nothing that a person owns is written over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from services.dedup.scan.folder import Key
from services.dedup.scan.reading import READING

FRESH_NS = 2 * 10**9
"""A file changed so short a time before the scan may change once more without a new time: not remembered."""
APPLICATION_ID = 0x4D656E61  # "Mena"
TABLE = """CREATE TABLE IF NOT EXISTS file (
    device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    reading BLOB NOT NULL, pixels BLOB,
    PRIMARY KEY (device, inode, size, mtime_ns, ctime_ns)) WITHOUT ROWID"""
WHERE = "device = ? AND inode = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ?"
Remembered = tuple[bytes, bytes | None]
"""The record of reading, and the digest of the pixels where one was needed."""


class CacheRefused(Exception):
    """The cache cannot be used; the message says what to do."""


class Memory:
    """The cache in ``file``; without one nothing is remembered. Use as a context manager."""

    def __init__(self, file: Path | None, version: str) -> None:
        self._connection: sqlite3.Connection | None = None
        if file is None:
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _opened(file, version)
        except (OSError, sqlite3.Error) as error:
            raise CacheRefused(
                f"the cache {file} cannot be used ({error}): delete it, or give another place with --cache"
            ) from error

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def recall(self, keys: Sequence[Key]) -> Iterator[Remembered | None]:
        """What is known of each file, in order."""
        if self._connection is None:
            yield from (None for _ in keys)
            return
        cursor = self._connection.cursor()
        for key in keys:
            row = cursor.execute(f"SELECT reading, pixels FROM file WHERE {WHERE}", _bound(key)).fetchone()  # noqa: S608
            known = row is not None and len(row[0]) <= READING.itemsize
            yield (row[0].ljust(READING.itemsize, b"\0"), row[1]) if known else None

    def keep(self, readings: Iterable[tuple[Key, bytes]], now_ns: int) -> None:
        """Remember records of reading."""
        if self._connection is None:
            return
        rows = (
            (*_bound(key), record.rstrip(b"\0"))
            for key, record in readings
            if key.mtime_ns < now_ns - FRESH_NS
        )
        with self._connection as transaction:
            transaction.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, NULL)", rows)

    def keep_pixels(self, digests: Iterable[tuple[Key, bytes]]) -> None:
        """Remember digests of pixels, of files whose reading is remembered."""
        if self._connection is None:
            return
        with self._connection as transaction:
            rows = ((digest, *_bound(key)) for key, digest in digests)
            transaction.executemany(f"UPDATE file SET pixels = ? WHERE {WHERE}", rows)  # noqa: S608


def _bound(key: Key) -> tuple[int, ...]:
    """SQLite's integers have a sign; device and inode numbers have none."""
    return tuple(value - 2**64 if value >= 2**63 else value for value in key)


def _opened(file: Path, version: str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=30.0)
    try:
        _begin(connection, version)
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(connection: sqlite3.Connection, version: str) -> None:
    [(owner,)], [(tables,)] = (
        connection.execute(question).fetchall()
        for question in ("PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    if tables and owner != APPLICATION_ID:
        raise sqlite3.DatabaseError("it belongs to another program")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")  # losing it costs one scan
    with connection:
        connection.execute("CREATE TABLE IF NOT EXISTS version (text TEXT)")
        if connection.execute("SELECT text FROM version").fetchall() != [(version,)]:
            connection.execute("DROP TABLE IF EXISTS file")
            connection.execute("DELETE FROM version")
            connection.execute("INSERT INTO version VALUES (?)", (version,))
        connection.execute(TABLE)
