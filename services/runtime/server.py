"""Runs a service as a process: ``python -m services.<name>``."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn

from services.runtime.logs import configure_logs
from services.runtime.service import Service
from services.runtime.settings import RuntimeSettings


def serve(create_app: Callable[[], Service]) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully."""
    # First: a logger that is bound before keeps the library's console format.
    configure_logs(RuntimeSettings().log_level)
    service = create_app()
    uvicorn.run(
        service.asgi(),
        host=service.settings.http_host,
        port=service.settings.http_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(service.settings.graceful_stop_s),
    )
