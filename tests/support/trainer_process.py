"""The trainer as a process of its own, settings in the environment, until it is told to end.

Usage: python -m tests.support.trainer_process [CHILD]

CHILD is the module of another training child than the real one.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from services.runtime.logs import configure_logs
from services.trainer.app import create_app
from services.trainer.handlers import leased


async def main() -> None:
    """Listen until told to end."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    service = create_app()
    await service.start()
    print("started", flush=True)
    await stop.wait()
    await service.stop()


if __name__ == "__main__":
    configure_logs("WARNING")
    if sys.argv[1:]:
        leased.FITTING = sys.argv[1]
    asyncio.run(main())
