"""Ports of a stack: one block of a hundred, claimed as a whole."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from contracts.subjects import SERVICES
from services.ops.clients.errors import OpsError

HOST = "127.0.0.1"
DEFAULT_BASE = 18400
BLOCK = 100
LOWEST_BASE = 1024
HIGHEST_BASE = 65535 - 10006
SERVICE_OFFSET = 10
WEED_GRPC_OFFSET = 20
CLAIM_OFFSET = 99
ADMIN_GRPC_OFFSET = 10_000
"""The S3 server's own maintenance worker looks for the admin's gRPC port there, whatever it is set to."""


@dataclass(frozen=True)
class Ports:
    """Every port of the stack by name, from its base."""

    base: int

    @property
    def nats(self) -> int:
        """Clients of the broker."""
        return self.base

    @property
    def nats_monitor(self) -> int:
        """The broker's own reports, HTTP."""
        return self.base + 1

    @property
    def s3(self) -> int:
        """S3 API."""
        return self.base + 2

    def weed(self) -> dict[str, int]:
        """Ports of the S3 server's parts, HTTP and gRPC."""
        parts = {part: self.s3 + at for at, part in enumerate(("s3", "filer", "master", "volume", "admin"))}
        grpc = {f"{part}.grpc": port + WEED_GRPC_OFFSET for part, port in parts.items() if part != "admin"}
        return {**parts, **grpc, "admin.grpc": parts["admin"] + ADMIN_GRPC_OFFSET}

    def service(self, name: str) -> int:
        """HTTP of a service."""
        return self.base + SERVICE_OFFSET + SERVICES.index(name)

    def all(self) -> dict[str, int]:
        """Name of each process and part -> its port."""
        return {
            "nats": self.nats,
            "nats monitor": self.nats_monitor,
            **{f"s3 {part}": port for part, port in self.weed().items()},
            **{name: self.service(name) for name in SERVICES},
        }


def claim(wanted: int | None, remembered: int | None) -> tuple[Ports, socket.socket]:
    """A free block and the socket that claims it; keep the socket open as long as the stack lives.

    ``wanted`` is what a person asked for, ``remembered`` the base of the last start.

    Raises:
        OpsError: the wanted block is not free, or none is.
    """
    if wanted is not None:
        return _claim_wanted(wanted)
    bases = range(DEFAULT_BASE, HIGHEST_BASE, BLOCK)
    for base in [*([remembered] if remembered else []), *bases]:
        with contextlib.suppress(OSError):
            return Ports(base), claim_block(Ports(base))
    raise OpsError(f"no block of ports is free from {bases[0]} to {bases[-1]}: free some")


def _claim_wanted(base: int) -> tuple[Ports, socket.socket]:
    if not LOWEST_BASE <= base <= HIGHEST_BASE:
        raise OpsError(f"--port-base {base} is out of range: choose one from {LOWEST_BASE} to {HIGHEST_BASE}")
    ports = Ports(base)
    for name, port in {**ports.all(), "claim of the block": base + CLAIM_OFFSET}.items():
        if not is_free(port):
            raise OpsError(
                f"port {port} ({name}) of --port-base {base} is taken: stop what uses it or choose another"
            )
    try:
        return ports, claim_block(ports)
    except OSError as error:
        raise OpsError(f"--port-base {base} was just taken ({error}): choose another base") from error


def claim_block(ports: Ports) -> socket.socket:
    """The socket that claims the block: two stacks that start at once must not take the same one.

    Raises:
        OSError: one of its ports is taken.
    """
    claimed = _bind(ports.base + CLAIM_OFFSET)
    try:
        for port in ports.all().values():
            _bind(port).close()
    except OSError:
        claimed.close()
        raise
    return claimed


def is_free(port: int) -> bool:
    """Whether nothing listens on the loopback port."""
    try:
        _bind(port).close()
    except OSError:
        return False
    return True


def _bind(port: int) -> socket.socket:
    bound = socket.socket()
    try:
        # A port that waits out its last connections (TIME_WAIT) is free: a restart must not move.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        bound.listen(1)
    except OSError:
        bound.close()
        raise
    return bound
