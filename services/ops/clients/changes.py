"""Changes to many images: messages of 1,000 each, the first failure told with what was done before it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from services.ops.clients.errors import OpsError
from services.ops.clients.library import Library

MESSAGE_IMAGES = 1000
"""The most that one command carries (contracts.commands.ImageIds)."""


async def change_many(
    library: Library, command: str, image_ids: Sequence[str], remedy: str, **fields: Any
) -> int:
    """Do ``command`` for all images; how many it changed.

    Raises:
        OpsError: one message was refused; it says how many images were done before, and ``remedy``.
    """
    changed = done = 0
    ids = iter(image_ids)
    while batch := list(islice(ids, MESSAGE_IMAGES)):
        try:
            outcome = await library.command(command, image_ids=batch, **fields)
        except OpsError as error:
            if not done:
                raise
            raise OpsError(
                f"{error}; {done} of {len(image_ids)} images were done before it: {remedy}"
            ) from error
        changed += int(outcome["changed"])
        done += len(batch)
    return changed
