"""Starting a process that cannot outlive its supervisor, and ending one with all its children."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import which

import psutil

from services.ops.clients.errors import OpsError

PR_SET_PDEATHSIG = 1
LOG_LIMIT_BYTES = 16 * 1024 * 1024
"""A log that grew beyond it is put aside when its process starts; one older one is kept."""


def program(name: str) -> str:
    """Path of a server that the environment's packages brought along.

    Raises:
        OpsError: it is not installed.
    """
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if beside.exists() else which(name)
    if found is None:
        raise OpsError(f"program {name!r} is not installed in {beside.parent}: run `make setup`")
    return found


async def spawn(
    command: Sequence[str], env: Mapping[str, str], folder: Path, log: Path
) -> asyncio.subprocess.Process:
    """Start ``command`` in a session of its own (Ctrl-C is the supervisor's to pass on)."""
    rotate(log)
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            env=env,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=tie_to_parent(),
        )


def tie_to_parent() -> Callable[[], None] | None:
    """Linux: SIGTERM when the supervisor (the thread of its event loop) dies, even of kill -9."""
    if sys.platform != "linux":
        return None
    prctl, supervisor = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != supervisor:  # it died before the call
            os._exit(1)

    return tie


def rotate(log: Path) -> None:
    """Put a log that grew too long aside, in place of the one before it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))


def last_lines(log: Path, count: int = 3, window_bytes: int = 4096) -> str:
    """The end of a log, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - window_bytes))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return " | ".join(line.strip() for line in lines[-count:] if line.strip())


def kill_session(leader: int) -> None:
    """What a process left behind in its session: its children must not work on beside a successor."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def stop_trees(roots: Sequence[psutil.Process], grace_s: float) -> None:
    """End processes and all below them: politely, then not."""
    family = list(roots)
    for root in roots:
        with contextlib.suppress(psutil.Error):
            family += root.children(recursive=True)
    for root in roots:
        with contextlib.suppress(psutil.Error):
            root.terminate()
    _, alive = psutil.wait_procs(family, timeout=grace_s)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=grace_s)
