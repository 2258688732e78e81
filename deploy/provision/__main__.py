"""``python -m deploy.provision``: streams, durables and buckets as declared."""

from __future__ import annotations

import asyncio
import sys

from deploy.provision.changes import ProvisionError
from deploy.provision.job import find_undeclared, provision
from deploy.provision.settings import ProvisionSettings


async def main() -> None:
    """Provision by the settings of the environment and say what changed."""
    settings = ProvisionSettings()
    try:
        changes = await provision(settings)
        strangers = await find_undeclared(settings)
    except ProvisionError as error:
        sys.exit(f"provision: {error}")
    for change in changes:
        print(change)
    for stranger in strangers:
        print(f"consumer {stranger}: declared nowhere; delete it when no service uses it", file=sys.stderr)
    if not changes:
        print("all as declared")


if __name__ == "__main__":
    asyncio.run(main())
