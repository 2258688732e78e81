"""One process that is kept alive until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.ops.stack.record import ProcessRecord, own_process
from services.ops.stack.spawn import kill_session, last_lines, spawn

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
HEALTHY_AFTER_S = 60.0
"""A process that ran so long before it died starts again at the shortest pause."""
PROBE_EVERY_S = 0.1
SPAWN_FAILED = 126
DEATHS_TO_GIVE_UP_START = 5
"""In a row before it was ever ready: some 3 s of pauses; what dies so often dies of its settings."""


@dataclass(frozen=True)
class ProcessSpec:
    """What to run and how to know that it works."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    log: Path
    probe: Callable[[], bool]
    """Whether it serves, by a real request; runs in a thread, never raises."""
    grace_s: float
    """From SIGTERM to SIGKILL."""
    sweep: Callable[[], None] = lambda: None
    """Takes away what a dead process left outside the data directory."""


@dataclass(frozen=True)
class ProcessEvent:
    """Something a person may want to see: ``started``, ``ready``, ``died``, ``stopped``."""

    process: str
    state: str
    detail: str = ""


class StartFailed(Exception):
    """The process keeps dying before it serves."""


class Supervised:
    """Runs a process again whenever it dies, for ever, with growing pauses."""

    def __init__(self, spec: ProcessSpec, notify: Callable[[ProcessEvent], None]) -> None:
        self.spec = spec
        self.record = ProcessRecord()
        self._notify = notify
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._ready = asyncio.Event()
        self._hopeless = asyncio.Event()
        self._deaths = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; ``wait_ready`` tells when it serves."""
        self._task = asyncio.create_task(self._keep_alive(), name=f"keep-{self.spec.name}")

    async def wait_ready(self) -> None:
        """Return when it serves.

        Raises:
            StartFailed: it died again and again before that; the end of its log is in the message.
        """
        waits = [asyncio.create_task(event.wait()) for event in (self._ready, self._hopeless)]
        assert self._task is not None
        try:
            await asyncio.wait([*waits, self._task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._task.done() and not self._stopping.is_set():
            self._task.result()
        if not self._ready.is_set():
            said = last_lines(self.spec.log)
            raise StartFailed(f"{self.spec.name} does not start; see {self.spec.log}, it ends: {said}")

    async def stop(self, grace_s: float | None = None) -> None:
        """SIGTERM, after the grace SIGKILL, and no restart."""
        self._stopping.set()
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), self.spec.grace_s if grace_s is None else grace_s)
            except TimeoutError:
                self._notify(ProcessEvent(self.spec.name, "killed", "did not stop in time"))
                kill_session(process.pid)
        if self._task is not None:
            await self._task
        self._change(ProcessEvent(self.spec.name, "stopped"), ProcessRecord(restarts=self.record.restarts))

    async def _keep_alive(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            self._deaths += 1
            if not self._ready.is_set() and self._deaths >= DEATHS_TO_GIVE_UP_START:
                self._hopeless.set()
            if time.monotonic() - began >= HEALTHY_AFTER_S:
                pause = FIRST_PAUSE_S
            self._change(
                ProcessEvent(self.spec.name, "died", f"{_ending(code)}, starts again in {pause:.1f} s"),
                replace(self.record, pid=None, state="restarting", restarts=self.record.restarts + 1),
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _run_once(self) -> int:
        spec = self.spec
        spec.sweep()
        try:
            process = self._process = await spawn(spec.command, spec.env, spec.folder, spec.log)
        except OSError as error:  # no memory or process left for it now; there may be later
            self._notify(ProcessEvent(spec.name, "not started", str(error)))
            return SPAWN_FAILED
        started = own_process(process.pid)
        self._change(
            ProcessEvent(spec.name, "started", f"pid {process.pid}"),
            replace(self.record, pid=started.pid, started_at=started.started_at, state="starting"),
        )
        if self._stopping.is_set():  # stop() came while it was being started
            kill_session(process.pid)
        watch = asyncio.create_task(self._until_ready())
        try:
            return await process.wait()
        finally:
            watch.cancel()
            kill_session(process.pid)
            spec.sweep()

    async def _until_ready(self) -> None:
        began = time.monotonic()
        while not await asyncio.to_thread(self.spec.probe):
            await asyncio.sleep(PROBE_EVERY_S)
        self._change(
            ProcessEvent(self.spec.name, "ready", f"after {time.monotonic() - began:.1f} s"),
            replace(self.record, state="ready"),
        )
        self._ready.set()

    def _change(self, event: ProcessEvent, record: ProcessRecord) -> None:
        self.record = record
        self._notify(event)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
