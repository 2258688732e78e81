"""Runs a service as a process: ``python -m services.<name>``."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn

from services.runtime.logs import configure_logs
from services.runtime.service import Service


def serve(create_app: Callable[[], Service]) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully."""
    service = create_app()
    configure_logs(service.name, service.settings.log_level)
    uvicorn.run(
        service.asgi(),
        host=service.settings.http_host,
        port=service.settings.http_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(service.settings.graceful_stop_s),
    )
