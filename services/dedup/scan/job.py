"""A scan in its process: everything is kept ready for the processes that decode, then they are forked."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL

from services.dedup.scan import hashing, unfiltering
from services.dedup.scan.asked import Progress, Scan, TooManyPairs
from services.dedup.scan.bounded import prepare
from services.dedup.scan.folder import FolderRefused, find
from services.dedup.scan.memory import CacheRefused, Memory
from services.dedup.scan.pool import PoolBroken
from services.dedup.scan.scanning import Scanner
from services.runtime.child import ChildFailed

LATE = (
    "pydantic", "contracts.values", "scipy.fft", "services.dedup.index", "services.dedup.domain.alike",
    "services.dedup.settings", "services.dedup.scan.comparing",
)  # fmt: skip
READING_VERSION = 1
"""Goes up when the same file gives another record of reading, with every new ``DETECTOR`` at the least."""


def child_scan(spec: dict[str, Any], report_progress: Progress) -> dict[str, Any]:
    """Body of the child process: the counts; the report is in the file that the specification names."""
    asked = Scan(
        Path(spec["folder"]),
        Path(spec["report"]),
        Path(spec["cache"]) if spec["cache"] else None,
        spec["distance_bits"],
        spec["turned"],
        spec["processes"],
        Path(spec["shown"]) if spec["shown"] else None,
        spec["shown_pairs"],
    )
    try:
        return scan(asked, report_progress)
    except (FolderRefused, CacheRefused, TooManyPairs, PoolBroken) as error:
        raise ChildFailed(str(error)) from error


def scan(asked: Scan, progress: Progress) -> dict[str, Any]:
    """Read, compare, group and report.

    Raises:
        FolderRefused, CacheRefused, TooManyPairs, PoolBroken: with what to do.
    """
    files = find(asked.folder)
    progress({"stage": "starting", "done": 0, "total": len(files.names)})
    _get_ready()
    with Memory(asked.cache, f"{READING_VERSION}, Pillow {PIL.__version__}") as memory:
        scanner = Scanner(
            files, memory, asked.processes, asked.bounds,
            lambda done: progress({"stage": "reading", "done": done, "total": len(files.names)}),
        )  # fmt: skip
        made = scanner.read(_imports())
        from services.dedup.scan.comparing import compare  # noqa: PLC0415 - see _imports

        return {**compare(scanner, made, asked, progress), "remembered": made.remembered}


def _imports() -> Iterator[None]:
    """Half a second's imports, made while the processes already decode."""
    for module in LATE:
        importlib.import_module(module)
        yield


def _get_ready() -> None:
    """Import and compile all that the processes need, before they are forked."""
    prepare()
    unfiltering.warm_up()
    hashing.warm_up()
    gc.freeze()
