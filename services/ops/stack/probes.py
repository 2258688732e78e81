"""Whether a server serves, by a real request; never raises."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from services.ops.stack.ports import HOST

if TYPE_CHECKING:
    from services.runtime.settings import RuntimeSettings

PROBE_TIMEOUT_S = 3.0


def http_ok(port: int, path: str) -> Callable[[], bool]:
    """A GET on the loopback answers 200; not by urllib, which would ask a proxy of the environment."""

    def probe() -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def s3_writable(settings: RuntimeSettings) -> Callable[[], bool]:
    """A signed PUT is stored; the port alone answers up to 20 s earlier."""

    def probe() -> bool:
        host, port = settings.s3_endpoint.rsplit(":", 1)
        try:  # the SDK is loaded only once somebody listens
            socket.create_connection((host, int(port)), PROBE_TIMEOUT_S).close()
        except OSError:
            return False
        from deploy.provision.buckets import prove_writable

        try:
            prove_writable(settings)
        except Exception:  # noqa: BLE001 - whatever it is, it cannot be written to yet
            return False
        return True

    return probe
