"""The delivery policy on a real nats-server: the in-memory broker's acks are no-ops."""

from __future__ import annotations

import asyncio
import base64
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub

from contracts.commands import AssignLabel
from contracts.events import DeadLetterReason, ImageLabelled
from contracts.values import LabelKind
from services.runtime.delivery import Delivery, Unprocessable
from services.runtime.service import Service
from tests.support.probe import (
    DURABLE,
    STREAM,
    Deliveries,
    connect,
    dead_letters,
    declare,
    probe_service,
    probe_settings,
    request,
    say,
    until,
    until_quiet,
)

pytestmark = pytest.mark.integration


async def test_a_failing_message_is_tried_a_bounded_number_of_times_with_growing_delays_while_its_neighbours_flow(
    nats_url: str, tmp_path: Path
) -> None:
    tries: dict[int, list[float]] = {}
    done: set[str] = set()

    async def handler(batch: Deliveries) -> None:
        for delivery in batch:
            if delivery.message.by == "poison":
                tries.setdefault(delivery.attempt, []).append(time.monotonic())
                raise RuntimeError("cannot digest this")
            done.add(delivery.message.request_id)

    client, js = await connect(nats_url)
    await declare(js)
    service = probe_service(probe_settings(nats_url, tmp_path), batch=handler)
    await say(js, request(1), request(2, by="poison"), *(request(n) for n in range(3, 40)))
    await service.start()
    try:
        await until_quiet(js)
        letters = await dead_letters(js)
    finally:
        await service.stop()
        await client.close()

    assert len(done) == 38
    assert [(letter.attempts, letter.reason) for letter in letters] == [
        (4, DeadLetterReason.ATTEMPTS_EXHAUSTED)
    ]
    assert "RuntimeError: cannot digest this" in letters[0].error
    # Each attempt comes at the earliest after its pause; the first is made in the batch, then alone.
    assert sorted(tries) == [1, 2, 3, 4]
    for attempt, pause_s in ((2, 0.1), (3, 0.2), (4, 0.4)):
        assert tries[attempt][0] - tries[attempt - 1][-1] >= pause_s


async def test_faststreams_default_policy_would_have_lost_the_message(nats_url: str) -> None:
    calls = await _calls_under(nats_url, AckPolicy.REJECT_ON_ERROR)
    assert calls == 1  # terminated: one exception, and the message is gone with no trace


async def test_faststreams_nack_policy_would_have_hammered(nats_url: str) -> None:
    calls = await _calls_under(nats_url, AckPolicy.NACK_ON_ERROR, enough=50)
    assert calls >= 50  # dozens of attempts without any pause


async def _calls_under(nats_url: str, policy: AckPolicy, enough: int = 2) -> int:
    client, js = await connect(nats_url)
    await declare(js)
    calls = 0
    broker = NatsBroker(nats_url, logger=None)

    @broker.subscriber(
        AssignLabel.subject(),
        stream=JStream(STREAM, declare=False),
        durable=DURABLE,
        pull_sub=PullSub(batch_size=1, timeout=1.0),
        ack_policy=policy,
    )
    async def handler(message: AssignLabel) -> None:
        nonlocal calls
        calls += 1
        raise RuntimeError("cannot digest this")

    await say(js, request(1))
    await broker.start()

    async def settled_or_hammered() -> bool:
        info = await js.consumer_info(STREAM, DURABLE)
        return calls >= enough or (calls > 0 and info.num_ack_pending == 0 and info.num_pending == 0)

    try:
        await until(settled_or_hammered)
        return calls
    finally:
        await broker.stop()
        await client.close()


async def test_a_malformed_message_goes_to_dead_letters_at_once_and_can_be_read_there(
    nats_url: str, tmp_path: Path
) -> None:
    async def handler(delivery: Delivery[AssignLabel]) -> None:
        raise AssertionError("must not be called")

    client, js = await connect(nats_url)
    await declare(js)
    service = probe_service(probe_settings(nats_url, tmp_path), one=handler)
    await service.start()
    try:
        await js.publish(AssignLabel.subject(), b'{"request_id": "<script>"', headers={"x": "y"})
        await until_quiet(js)
        (letter,) = await dead_letters(js)
    finally:
        await service.stop()
        await client.close()
    assert letter.reason is DeadLetterReason.MALFORMED
    assert base64.b64decode(letter.body_base64) == b'{"request_id": "<script>"'
    assert letter.source_subject == AssignLabel.subject()
    assert letter.headers["x"] == "y"


async def test_a_handler_may_say_that_a_message_can_never_succeed(nats_url: str, tmp_path: Path) -> None:
    calls = 0

    async def handler(delivery: Delivery[AssignLabel]) -> None:
        nonlocal calls
        calls += 1
        raise Unprocessable("there is no image 00; upload it first")

    client, js = await connect(nats_url)
    await declare(js)
    service = probe_service(probe_settings(nats_url, tmp_path), one=handler)
    await service.start()
    try:
        await say(js, request(1))
        await until_quiet(js)
        (letter,) = await dead_letters(js)
    finally:
        await service.stop()
        await client.close()
    assert calls == 1
    assert letter.error == "there is no image 00; upload it first"


async def test_a_long_handler_keeps_its_message_by_heartbeats(nats_url: str, tmp_path: Path) -> None:
    deliveries: list[int] = []
    finish = asyncio.Event()

    async def handler(delivery: Delivery[AssignLabel]) -> None:
        deliveries.append(delivery.seq)
        await finish.wait()

    client, js = await connect(nats_url)
    await declare(js, ack_wait_s=1.0)
    service = probe_service(probe_settings(nats_url, tmp_path), one=handler)
    policy = service._policies[0]
    policy.consumer = type(policy.consumer)(**{**policy.consumer.__dict__, "ack_wait_s": 1.0})
    await service.start()
    started = time.monotonic()

    async def three_waits_over() -> bool:
        return time.monotonic() - started > 3.2

    try:
        await say(js, request(1))
        await until(three_waits_over)
        assert deliveries == [1]
        assert (await js.consumer_info(STREAM, DURABLE)).num_redelivered == 0
        finish.set()
        await until_quiet(js)
    finally:
        finish.set()
        await service.stop()
        await client.close()
    assert deliveries == [1]


async def test_stopping_gives_back_what_is_in_hand_instead_of_losing_it(
    nats_url: str, tmp_path: Path
) -> None:
    begun = asyncio.Event()

    async def stuck(delivery: Delivery[AssignLabel]) -> None:
        begun.set()
        await asyncio.Event().wait()

    client, js = await connect(nats_url)
    await declare(js)
    settings = probe_settings(nats_url, tmp_path, graceful_stop_s=0.2)
    service = probe_service(settings, one=stuck)
    await service.start()
    await say(js, request(1))
    await asyncio.wait_for(begun.wait(), 30)
    await service.stop()

    seen: list[int] = []

    async def quick(delivery: Delivery[AssignLabel]) -> None:
        seen.append(delivery.seq)

    second = probe_service(settings, one=quick)
    await second.start()
    try:  # ack_wait is 30 s: only a message given back arrives within this deadline
        await until_quiet(js)
    finally:
        await second.stop()
        await client.close()
    assert seen == [1]


async def test_a_message_that_kills_the_process_is_put_aside_and_its_neighbours_are_not_blamed(
    nats_url: str, tmp_path: Path
) -> None:
    client, js = await connect(nats_url)
    await declare(js, ack_wait_s=0.5)
    await say(js, *(request(n, by="killer" if n == 3 else "ann") for n in range(1, 6)))
    done = tmp_path / "done"
    for _ in range(40):
        code = await _run_killable(nats_url, tmp_path, done)
        if code == 0:
            break
    letters = await dead_letters(js)
    await client.close()
    assert [(letter.source_seq, letter.reason) for letter in letters] == [(3, DeadLetterReason.PROCESS_DIED)]
    assert set(Counter(done.read_text().split())) == {"1", "2", "4", "5"}


async def _run_killable(nats_url: str, folder: Path, done: Path) -> int:
    """One life of a process that dies of message 3; 0 when all is settled."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.killable", nats_url, str(folder), str(done)
    )
    return await process.wait()


async def test_what_a_handler_emits_is_published_after_its_commit_exactly_once(
    nats_url: str, tmp_path: Path
) -> None:
    client, js = await connect(nats_url)
    await declare(js)
    service: Service

    async def handler(batch: Deliveries) -> None:
        await service.database.run(
            lambda unit: [unit.emit(_labelled(delivery.message)) for delivery in batch]
        )

    service = probe_service(probe_settings(nats_url, tmp_path), batch=handler)
    await service.start()
    try:
        await say(js, *(request(n) for n in range(50)))
        await until_quiet(js)

        async def all_published() -> bool:
            return (await js.stream_info("IMAGES")).state.messages == 50

        await until(all_published)

        async def outbox_empty() -> bool:
            return await service.outbox.waiting() == 0

        await until(outbox_empty)
        # The crash between publishing and deleting the row: it is published again, and dropped.
        await service.database.run(lambda unit: unit.emit(_labelled(request(7))))
        await until(outbox_empty)
        assert (await js.stream_info("IMAGES")).state.messages == 50
    finally:
        await service.stop()
        await client.close()


def _labelled(message: AssignLabel) -> ImageLabelled:
    return ImageLabelled(
        image_id=message.image_id,
        revision=1,
        label=message.label,
        kind=LabelKind.CLASS,
        by=message.by,
        labelled_at=message.requested_at,
    )


async def test_committed_messages_of_a_crashed_process_are_published_by_the_next(
    nats_url: str, tmp_path: Path
) -> None:
    async def handler(batch: Deliveries) -> None:
        raise AssertionError("nothing is sent")

    client, js = await connect(nats_url)
    await declare(js)
    settings = probe_settings(nats_url, tmp_path)
    crashed = probe_service(settings, batch=handler)  # commits, and never gets to publish
    await crashed.database.run(lambda unit: unit.emit(_labelled(request(1))))
    crashed.database.close()
    assert (await js.stream_info("IMAGES")).state.messages == 0
    service = probe_service(settings, batch=handler)
    await service.start()

    async def published() -> bool:
        return (await js.stream_info("IMAGES")).state.messages == 1

    try:
        await until(published)
    finally:
        await service.stop()
        await client.close()


async def test_a_missing_durable_is_a_loud_failure_that_says_what_to_run(
    nats_url: str, tmp_path: Path
) -> None:
    async def handler(batch: Deliveries) -> None:
        raise AssertionError("nothing is sent")

    client, js = await connect(nats_url)
    await declare(js)
    await js.delete_consumer(STREAM, DURABLE)
    service = probe_service(probe_settings(nats_url, tmp_path), batch=handler)
    with pytest.raises(SystemExit, match=r"ingest-labels.*deploy\.provision"):
        await service.start()
    service.faults.stopping = True
    await service.broker.stop()
    await client.close()
