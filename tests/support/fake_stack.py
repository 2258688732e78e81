"""A stack of real servers and stand-in services, as a process: ``python -m tests.support.fake_stack DIR``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.ops.stack.running import run_until_signal
from services.ops.stack.stack import Stack


def fake_services(**modes: str) -> Mapping[str, Sequence[str]]:
    """Commands for ``Stack(services=...)``: service name -> mode of tests/support/fake_service.py."""
    return {name: [sys.executable, "-m", "tests.support.fake_service", mode] for name, mode in modes.items()}


def main() -> None:
    """Run until a signal; print one word per step."""
    stack = Stack(Path(sys.argv[1]), services=fake_services(ingest="lives", reporter="parent"))
    asyncio.run(
        run_until_signal(
            stack,
            on_ready=lambda: print("ready", flush=True),
            on_stopping=lambda: print("stopping", flush=True),
        )
    )
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
