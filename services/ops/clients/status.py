"""What ``menagerie status`` reports: the stack's own record, the read model and the broker's backlog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.ops.clients.bus import open_bus
from services.ops.clients.errors import OpsError
from services.ops.clients.reads import Reporter, open_reporter

if TYPE_CHECKING:
    from services.ops.stack.record import Connection

IMAGE_COUNTS = (
    "uploaded",
    "accepted",
    "rejected",
    "exact_duplicates",
    "near_duplicates",
    "bursts",
    "pairs_in_review",
    "labelled",
    "unlabelled",
)
Row = dict[str, Any]


async def read_status(stack: Connection) -> tuple[Row, list[str]]:
    """The report, None where a server did not answer, and a sentence for each that did not."""
    problems: list[str] = []
    summary: Row = {}
    backlog: dict[str, int] | None = None
    try:
        async with open_reporter(stack.urls["reporter"], stack.api_token) as reporter:
            summary = await reporter.summary()
    except OpsError as error:
        problems.append(str(error))
    try:
        async with open_bus(stack.urls["nats"], stack.ops_password) as bus:
            backlog = await bus.backlog()
    except OpsError as error:
        problems.append(str(error))
    services = {name: process.state for name, process in stack.processes.items()}
    return shape(services, summary, backlog), problems


async def read_report(services: dict[str, str], reporter: Reporter, backlog: dict[str, int]) -> Row:
    """The same from clients that are open already."""
    return shape(services, await reporter.summary(), backlog)


def shape(services: dict[str, str], summary: Row, backlog: dict[str, int] | None) -> Row:
    """The report's fields from the reporter's summary."""
    images = summary.get("images")
    return {
        "services": services,
        "images": {name: images.get(name) for name in IMAGE_COUNTS} if images else None,
        "snapshots": summary.get("snapshots"),
        "models": summary.get("models"),
        "training": summary.get("training"),
        "bulk": summary.get("bulk"),
        "dead_letters": summary.get("dead_letters"),
        "backlog": backlog,
    }
