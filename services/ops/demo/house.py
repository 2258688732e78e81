"""The demo's own stack in its own data directory, started and stopped as ``menagerie up`` does it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from services.ops.clients.errors import NotRunning, OpsError
from services.ops.stack.layout import Layout
from services.ops.stack.record import Connection, connect_to, load_record

MARKER = "demo.json"
"""Its presence says that everything in the directory may be thrown away."""
READY_TIMEOUT_S = 240.0
"""Ready is promised in 20 s on a warm file system; the first start also unpacks and loads TensorFlow."""
STOP_TIMEOUT_S = 60.0
LOG_LINES = 15


def default_demo_dir() -> Path:
    """The platform's place for a user's data, beside the real one."""
    import platformdirs

    return Path(platformdirs.user_data_dir("menagerie-demo"))


def prepare(root: Path) -> Layout:
    """An empty data directory with the demo's marker; a former demo's content is wiped.

    Raises:
        OpsError: the directory holds anything else, or a stack runs in it.
    """
    root = root.expanduser().resolve()
    layout = Layout(root)
    if root.exists() and not root.is_dir():
        raise OpsError(f"{root} is a file: name a folder with --data-dir")
    if root.is_dir() and any(root.iterdir()):
        if not (root / MARKER).is_file():
            raise OpsError(
                f"{root} holds data that no demo made, and a demo begins empty: name another --data-dir"
            )
        with contextlib.suppress(NotRunning):
            connect_to(layout)
            raise OpsError(f"a demo still runs in {root}: stop it with `menagerie down --data-dir {root}`")
        _empty(root)
    layout.create()
    (root / MARKER).write_text(json.dumps({"made_by": "menagerie demo"}) + "\n", encoding="utf-8")
    return layout


def _empty(root: Path) -> None:
    """The marker goes last: a wipe that was cut short can be repeated."""
    for entry in sorted(root.iterdir(), key=lambda one: one.name == MARKER):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


class House:
    """A running stack; leave it with ``stop``."""

    def __init__(self, layout: Layout, settings: Mapping[str, str], port_base: int | None) -> None:
        self.layout = layout
        self._settings = settings
        self._port_base = port_base
        self._process: subprocess.Popen[bytes] | None = None
        self._log = layout.root / "logs" / "up.log"

    async def start(self) -> Connection:
        """Start and wait until every service serves.

        Raises:
            OpsError: it ended or was not ready in time; the end of its log is in the message.
        """
        command = [sys.executable, "-m", "services.ops.cli", "up", "--data-dir", str(self.layout.root)]
        if self._port_base is not None:
            command += ["--port-base", str(self._port_base)]
        for name, value in self._settings.items():
            command += ["--set", f"{name}={value}"]
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal reaches the demo, and the demo stops the stack.
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        give_up = time.monotonic() + READY_TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None:
                raise OpsError(f"the stack did not start: {self._log_end()}")
            if time.monotonic() > give_up:
                raise OpsError(f"the stack was not ready within {READY_TIMEOUT_S:.0f} s: {self._log_end()}")
            await asyncio.sleep(0.2)
        return connect_to(self.layout)

    def _is_ready(self) -> bool:
        record = load_record(self.layout)
        return record is not None and record.state == "ready" and record.supervisor.find() is not None

    def states(self) -> dict[str, str]:
        """State of each process, by name."""
        record = load_record(self.layout)
        return {name: one.state for name, one in record.processes.items()} if record else {}

    @property
    def ended(self) -> bool:
        """Whether the stack is gone although nobody asked."""
        return self._process is not None and self._process.poll() is not None

    @property
    def stopped_on_purpose(self) -> bool:
        """Whether the stack was told to stop, by ``menagerie down`` for example."""
        record = load_record(self.layout)
        return record is not None and record.state == "stopped"

    async def stop(self) -> None:
        """Stop everything, services first; returns when nothing of it runs."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def _log_end(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"see {self._log}\n" + "\n".join(lines[-LOG_LINES:])
