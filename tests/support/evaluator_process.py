"""The evaluator as a process of its own, settings in the environment, until it is told to end.

Usage: python -m tests.support.evaluator_process [CHILD]

CHILD is the module of another scoring child than the real one.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from services.evaluator.app import create_app
from services.evaluator.handlers import evaluating
from services.runtime.logs import configure_logs


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
        evaluating.JOB = sys.argv[1]
    asyncio.run(main())
