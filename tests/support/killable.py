"""A service process that a message of the "killer" kills; ends with 0 when all is settled.

Usage: python -m tests.support.killable NATS_URL FOLDER DONE_FILE
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from contracts.commands import AssignLabel
from services.runtime.delivery import Delivery
from tests.support.probe import connect, probe_service, probe_settings, until_quiet


async def main(url: str, folder: Path, done: Path) -> None:
    """Handle until quiet."""

    async def handler(delivery: Delivery[AssignLabel]) -> None:
        if delivery.message.by == "killer":
            os.kill(os.getpid(), signal.SIGKILL)
        with done.open("a") as file:
            file.write(f"{delivery.seq}\n")

    service = probe_service(probe_settings(url, folder, retry_delays_s=(0.1,)), one=handler)
    await service.start()
    client, js = await connect(url)
    await until_quiet(js)
    await client.close()
    await service.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
