"""Messages whose work another replica has in hand, and long work that comes on between deaths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.runtime.delivery import Delivery, Postponed
from services.runtime.service import Service
from services.runtime.tables import attempt_table
from tests.support.probe import (
    connect,
    dead_letters,
    declare,
    probe_service,
    probe_settings,
    request,
    say,
    until_quiet,
)

pytestmark = pytest.mark.integration


async def attempts_of(service: Service) -> Sequence[Any]:
    query = attempt_table(service.database.metadata).select()
    return await service.database.read(lambda c: c.execute(query).all())


async def handled(nats_url: str, folder: Path, handler: Any, **settings: Any) -> tuple[int, Sequence[Any]]:
    """Letters and noted attempts after one message was settled by ``handler``."""
    client, js = await connect(nats_url)
    await declare(js)
    service = probe_service(probe_settings(nats_url, folder, **settings), one=handler)
    await service.start()
    try:
        await say(js, request(1))
        await until_quiet(js)
        return len(await dead_letters(js)), await attempts_of(service)
    finally:
        await service.stop()
        await client.close()


async def test_a_postponed_message_comes_again_however_often_and_counts_no_attempt(
    nats_url: str, tmp_path: Path
) -> None:
    seen: list[int] = []

    async def handler(delivery: Delivery[Any]) -> None:
        seen.append(delivery.attempt)
        if len(seen) < 6:
            raise Postponed("another has it", again_in_s=0.05)

    letters, noted = await handled(nats_url, tmp_path, handler, retry_delays_s=(0.05,))
    assert seen == [1] * 6
    assert (letters, noted) == (0, [])


async def test_attempts_are_counted_anew_from_where_the_work_came_on(nats_url: str, tmp_path: Path) -> None:
    seen: list[int] = []

    async def handler(delivery: Delivery[Any]) -> None:
        seen.append(delivery.attempt)
        if len(seen) < 6:
            await delivery.progressed()
            raise RuntimeError("the store is away again")

    letters, noted = await handled(nats_url, tmp_path, handler, retry_delays_s=(0.05, 0.05))
    assert len(seen) == 6
    assert (letters, noted) == (0, [])
