"""A service process that should end by itself when it can no longer work.

Usage: python -m tests.support.mortal NATS_URL FOLDER [close]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from contracts.commands import AssignLabel
from services.runtime.delivery import Delivery
from services.runtime.logs import configure_logs
from tests.support.probe import probe_service, probe_settings


async def main(url: str, folder: Path, *, close: bool) -> None:
    """Listen for ever; with ``close`` the connection is closed for good at once."""

    async def handler(delivery: Delivery[AssignLabel]) -> None:
        return

    configure_logs("WARNING")
    service = probe_service(probe_settings(url, folder, consumer_check_s=0.1), one=handler)
    await service.start()
    print("started", flush=True)
    if close:
        await service.jetstream._nc.close()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), close=sys.argv[3:] == ["close"]))
