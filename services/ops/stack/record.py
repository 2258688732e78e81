"""``stack.json``: what runs, where, and as which processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from contracts.subjects import SERVICES
from services.ops.clients.errors import NotRunning, OpsError
from services.ops.stack.credentials import load_credentials
from services.ops.stack.layout import Layout, read_json, write_private
from services.ops.stack.ports import HOST, Ports

SAME_PROCESS_S = 2.0
"""A process's start time is derived from the clock; a correction of the clock moves it a little."""


@dataclass(frozen=True)
class ProcessRecord:
    """One process of the stack: an id alone could by now belong to somebody else."""

    pid: int | None = None
    started_at: float = 0.0
    """Seconds since the epoch, from the operating system."""
    state: str = "stopped"
    restarts: int = 0

    def find(self) -> psutil.Process | None:
        """The process if it still runs."""
        if self.pid is None:
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at) < SAME_PROCESS_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


@dataclass(frozen=True)
class StackRecord:
    """Content of ``stack.json``."""

    port_base: int
    state: str
    """``starting``, ``ready``, ``stopping`` or ``stopped``."""
    supervisor: ProcessRecord = ProcessRecord()
    processes: dict[str, ProcessRecord] = field(default_factory=dict)

    @property
    def urls(self) -> dict[str, str]:
        """Address of each server and service; ``web`` is the page for people."""
        return stack_urls(Ports(self.port_base))

    def store(self, layout: Layout) -> None:
        """Replace ``stack.json``."""
        content = {**asdict(self), "urls": self.urls, "web": self.urls["web"]}
        write_private(layout.record_file, json.dumps(content, indent=2) + "\n")


def stack_urls(ports: Ports) -> dict[str, str]:
    """Address of each server and service of the block."""
    web = f"http://{HOST}:{ports.service('reporter')}"
    return {
        "nats": f"nats://{HOST}:{ports.nats}",
        "nats_monitor": f"http://{HOST}:{ports.nats_monitor}",
        "s3": f"http://{HOST}:{ports.s3}",
        **{name: f"http://{HOST}:{ports.service(name)}" for name in SERVICES},
        "web": web,
    }


def own_process(pid: int) -> ProcessRecord:
    """The record of a process that was just started."""
    try:
        return ProcessRecord(pid, psutil.Process(pid).create_time())
    except psutil.Error:  # it ended at once
        return ProcessRecord()


def load_record(layout: Layout) -> StackRecord | None:
    """What ``stack.json`` says, None before the first start."""
    content = read_json(layout.record_file)
    if not content:
        return None
    try:
        return StackRecord(
            port_base=int(content["port_base"]),
            state=str(content["state"]),
            supervisor=_process(content["supervisor"]),
            processes={name: _process(one) for name, one in content["processes"].items()},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OpsError(
            f"{layout.record_file} is damaged ({error!r}): stop the stack and move the file away"
        ) from error


def _process(content: dict[str, Any]) -> ProcessRecord:
    return ProcessRecord(
        content["pid"], float(content["started_at"]), content["state"], int(content["restarts"])
    )


@dataclass(frozen=True)
class Connection:
    """What a command needs to talk to a stack."""

    urls: dict[str, str]
    ops_password: str
    api_token: str
    state: str
    processes: dict[str, ProcessRecord]


def connect_to(layout: Layout) -> Connection:
    """The stack of a data directory, which need not be ready yet.

    Raises:
        NotRunning: no supervisor runs there.
    """
    record, credentials = load_record(layout), load_credentials(layout)
    if record is None or credentials is None or record.supervisor.find() is None:
        raise NotRunning(
            f"no stack runs in {layout.root}: start it with `menagerie up --data-dir {layout.root}`"
        )
    return Connection(
        record.urls, credentials.nats["ops"], credentials.api_token, record.state, record.processes
    )
