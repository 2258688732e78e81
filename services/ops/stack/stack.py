"""The supervisor: starts everything in order, keeps it alive, stops it in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.subjects import SERVICES
from services.ops.clients.errors import OpsError
from services.ops.stack.credentials import Credentials, ensure_credentials
from services.ops.stack.layout import Layout
from services.ops.stack.lock import StackLock
from services.ops.stack.ports import claim
from services.ops.stack.preferences import remember
from services.ops.stack.process import ProcessEvent, ProcessSpec, StartFailed, Supervised
from services.ops.stack.record import ProcessRecord, StackRecord, load_record, own_process, stack_urls
from services.ops.stack.spawn import last_lines, spawn, stop_trees
from services.ops.stack.specs import Plan, python_environment

START_TIMEOUT_S = 120.0
"""Six times the target of 20 s: a cold disk on a busy machine is slow, not broken."""
ORPHAN_GRACE_S = 5.0


class Stack:
    """NATS, the S3 server and the services of one data directory.

    ``chosen`` are settings of the services (name -> value) to remember; ``services`` replaces the
    command of each service, for tests. Start and stop in one event loop: on Linux the processes
    end when its thread does.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port_base: int | None = None,
        chosen: Mapping[str, str] | None = None,
        services: Mapping[str, Sequence[str]] | None = None,
        on_event: Callable[[ProcessEvent], None] = lambda event: None,
    ) -> None:
        self.layout = Layout(data_dir.expanduser().resolve())
        self._wanted_base = port_base
        self._chosen = dict(chosen or {})
        self._commands = services
        self._on_event = on_event
        self._lock = StackLock(self.layout)
        self._claim: socket.socket | None = None
        self._plan: Plan | None = None
        self._state = "stopped"
        self._processes: dict[str, Supervised] = {}

    async def __aenter__(self) -> Stack:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def urls(self) -> dict[str, str]:
        """Address of each server and service; ``web`` is the page for people."""
        return stack_urls(self._planned.ports)

    @property
    def credentials(self) -> Credentials:
        """The stack's secrets."""
        return self._planned.credentials

    @property
    def pids(self) -> dict[str, int]:
        """Process name -> process id, of those that run now."""
        return {name: one.record.pid for name, one in self._processes.items() if one.record.pid is not None}

    def status(self) -> dict[str, Any]:
        """State of the stack and of each process, as JSON values."""
        return {
            "data_dir": str(self.layout.root),
            "state": self._state,
            "urls": self.urls if self._plan else {},
            "processes": {
                name: {"state": one.record.state, "pid": one.record.pid, "restarts": one.record.restarts}
                for name, one in self._processes.items()
            },
        }

    async def start(self) -> None:
        """Return when everything serves.

        Raises:
            OpsError: it cannot be started; whatever was is stopped again.
        """
        self.layout.create()
        self._lock.acquire()
        try:
            await self._prepare()
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._start_in_order()
        except BaseException as error:
            await self.stop()
            if isinstance(error, StartFailed):
                raise OpsError(f"{error}. Put that right and run `menagerie up` again") from error
            if isinstance(error, TimeoutError):
                raise OpsError(self._unready_sentence()) from error
            raise
        self._set_state("ready")

    async def stop(self, grace_s: float | None = None) -> None:
        """Services first, then the store, then the broker; ``grace_s`` shortens the patience."""
        if self._plan is not None and self._state != "stopped":
            with contextlib.suppress(OSError):
                self._set_state("stopping")
            for group in (SERVICES, ("s3",), ("nats",)):
                named = [self._processes[name] for name in group if name in self._processes]
                await asyncio.gather(*(one.stop(grace_s) for one in named))
            with contextlib.suppress(OSError):
                self._set_state("stopped")
        if self._claim is not None:
            self._claim.close()
            self._claim = None
        self._lock.release()

    async def _prepare(self) -> None:
        """Everything before the first process: orphans away, ports, secrets, settings."""
        before = load_record(self.layout)
        if before is not None:
            # The lock was free: a supervisor that left processes behind was killed.
            orphans = [found for one in before.processes.values() if (found := one.find())]
            await asyncio.to_thread(stop_trees, orphans, ORPHAN_GRACE_S)
        remembered = before.port_base if before else None
        ports, self._claim = claim(self._wanted_base, remembered)
        if remembered not in (None, ports.base):
            self._on_event(ProcessEvent("stack", "moved", f"ports from {remembered} to {ports.base} on"))
        self._processes = {}
        chosen = remember(self.layout, self._chosen)
        self._plan = Plan(self.layout, ports, ensure_credentials(self.layout), chosen)
        self._set_state("starting")

    async def _start_in_order(self) -> None:
        plan = self._planned
        # Databases need no server: they are brought up to date while the servers start.
        migrations = [] if self._commands is not None else [self._migrate(plan)]
        await _together(self._start_broker(plan), self._start_store(plan), *migrations)
        names = SERVICES if self._commands is None else tuple(self._commands)
        commands = self._commands or {}
        await _together(*(self._serve(plan.service(name, commands.get(name))) for name in names))

    async def _start_broker(self, plan: Plan) -> None:
        from deploy.provision.job import provision_broker

        await self._serve(plan.nats())
        await self._provision(provision_broker, plan)

    async def _start_store(self, plan: Plan) -> None:
        from deploy.provision.job import provision_store

        await self._serve(plan.s3())
        await self._provision(provision_store, plan)

    async def _provision(self, step: Callable[..., Coroutine[Any, Any, object]], plan: Plan) -> None:
        from deploy.provision.changes import ProvisionError
        from deploy.provision.settings import ProvisionSettings

        try:
            await step(ProvisionSettings.model_validate(plan.connection("admin")))
        except ProvisionError as error:
            raise OpsError(str(error)) from error

    async def _migrate(self, plan: Plan) -> None:
        log = self.layout.log("migrate")
        urls = json.dumps({name: plan.database_url(name) for name in SERVICES})
        process = await spawn(
            [sys.executable, "-m", "deploy.migrate", "upgrade"],
            {**python_environment(), "MENAGERIE_MIGRATE_URLS": urls},
            self.layout.root,
            log,
        )
        if code := await process.wait():
            said = last_lines(log)
            raise OpsError(f"the databases could not be migrated (code {code}); see {log}, it ends: {said}")

    async def _serve(self, spec: ProcessSpec) -> None:
        one = self._processes[spec.name] = Supervised(spec, self._heard)
        one.start()
        await one.wait_ready()

    def _heard(self, event: ProcessEvent) -> None:
        line = {"at": datetime.now(UTC).isoformat(), "process": event.process, "state": event.state}
        # A full disk or a closed terminal is no reason to stop keeping processes alive.
        with contextlib.suppress(OSError):
            self._record()
            with self.layout.log("supervisor").open("a", encoding="utf-8") as log:
                log.write(json.dumps({**line, "detail": event.detail}) + "\n")
        with contextlib.suppress(OSError):
            self._on_event(event)

    def _set_state(self, state: str) -> None:
        self._state = state
        self._record()

    def _record(self) -> None:
        running = self._state != "stopped"
        StackRecord(
            self._planned.ports.base,
            self._state,
            own_process(os.getpid()) if running else ProcessRecord(),
            {name: one.record for name, one in self._processes.items()},
        ).store(self.layout)

    def _unready_sentence(self) -> str:
        late = [name for name, one in self._processes.items() if one.record.state != "ready"]
        logs = self.layout.log(late[0]) if late else self.layout.log("supervisor")
        return f"{', '.join(late) or 'the stack'} did not become ready in {START_TIMEOUT_S:g} s: see {logs}"

    @property
    def _planned(self) -> Plan:
        if self._plan is None:
            raise OpsError("the stack was not started: call start() first")
        return self._plan


async def _together(*steps: Coroutine[Any, Any, None]) -> None:
    """All at once; the first failure ends the others and is raised as itself."""
    tasks = [asyncio.create_task(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
