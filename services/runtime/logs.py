"""JSON log lines with the ids of the message in hand."""

from __future__ import annotations

import logging
import sys

import structlog

QUIET_LOGGERS = {
    "faststream": logging.WARNING,
    "uvicorn": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "alembic": logging.WARNING,
    # Each lost connection is one `broker.error` of ours; the client adds a traceback per try.
    "nats": logging.CRITICAL,
    # Each retry is a line; the last failure is raised and logged by the caller.
    "urllib3": logging.ERROR,
}
"""Their lines repeat what our own events say."""


def configure_logs(level: str = "INFO") -> None:
    """Send every log of the process, ours and the libraries', to stderr as one JSON object a line.

    Call it before any logger is bound.
    """
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, threshold in QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(threshold)


def get_log(service: str) -> structlog.stdlib.BoundLogger:
    """The logger of a service, or of a part of the runtime."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(service).bind(service=service)
    return logger
