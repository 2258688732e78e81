"""A process that starts a waiting child, prints its pid, and waits to be killed."""

from __future__ import annotations

import asyncio
from typing import Any

from services.runtime.child import run_child


async def main() -> None:
    """Runs until killed."""

    async def tell(progress: dict[str, Any]) -> None:
        print(progress["pid"], flush=True)

    await run_child("tests.support.child_work", {"do": "wait"}, tell)


if __name__ == "__main__":
    asyncio.run(main())
