"""Each NATS user can do its own work and nothing else, on the real server with the rendered rules."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import nats
import pytest
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from contracts.subjects import CONSUMERS, PUBLISHES, SERVICES, STREAMS, SUBJECT_PREFIX, Consumer, stream_of
from deploy.provision.permissions import OUTSIDERS, service_permissions, users
from tests.support.probe import until
from tests.support.servers import Broker

pytestmark = pytest.mark.integration

ALL_MESSAGES = sorted({name for names in PUBLISHES.values() for name in names} | {"dead-letter.stored"})


async def refused(broker: Broker, user: str, subjects: Sequence[str]) -> set[str]:
    """Which of the publishes the server refuses; it says so to the client, in lower case."""
    told: list[str] = []
    client = await broker.client(user, told)
    for subject in subjects:
        await client.publish(subject, b"{}")
    await client.flush(timeout=30)  # the server answers it after every refusal, nats-py tells of those later

    async def all_told() -> bool:
        return len(told) >= len(subjects)

    with contextlib.suppress(AssertionError):
        await until(all_told, 10)
    await client.close()
    text = "\n".join(told)
    return {subject for subject in subjects if f'publish to "{subject.lower()}"' in text}


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_says_its_own_messages_and_no_others(
    provisioned_broker: Broker, service: str
) -> None:
    own = {f"{SUBJECT_PREFIX}.{name}" for name in (*PUBLISHES[service], "dead-letter.stored")}
    client = await provisioned_broker.client(service)
    js = client.jetstream(timeout=30)
    for subject in own:
        await js.publish(subject, b"{}", stream=stream_of(subject))
    await client.close()
    others = {f"{SUBJECT_PREFIX}.{name}" for name in ALL_MESSAGES} - own
    assert await refused(provisioned_broker, service, sorted(others)) == others


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_pulls_and_settles_from_its_own_durables(
    provisioned_broker: Broker, service: str
) -> None:
    admin = await provisioned_broker.client("admin")
    client = await provisioned_broker.client(service)
    js = client.jetstream(timeout=30)
    for one in (one for one in CONSUMERS if one.service == service):
        await admin.jetstream(timeout=30).publish(one.subjects[0], b"{}", stream=one.stream)

        async def pending(one: Consumer = one) -> bool:  # the server counts a little after it has stored
            return bool((await js.consumer_info(one.stream, one.durable)).num_pending)

        await until(pending)
        subscription = await js.pull_subscribe_bind(one.durable, one.stream)
        (message,) = await subscription.fetch(1, timeout=30)
        await message.ack_sync(timeout=30)
    await client.close()
    await admin.close()


@pytest.mark.parametrize("outsider", OUTSIDERS)
async def test_an_outsider_says_its_own_message_and_nothing_else(
    provisioned_broker: Broker, outsider: str
) -> None:
    own = {f"{SUBJECT_PREFIX}.{name}" for name in PUBLISHES[outsider]}
    client = await provisioned_broker.client(outsider)
    for subject in own:
        await client.jetstream(timeout=30).publish(subject, b"{}", stream=stream_of(subject))
    await client.close()
    others = {f"{SUBJECT_PREFIX}.{name}" for name in ALL_MESSAGES} - own
    asked = {
        *others,
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.IMAGES",
        "$JS.API.CONSUMER.MSG.NEXT.IMAGES.dedup-images",
    }
    assert await refused(provisioned_broker, outsider, sorted(asked)) == asked


@pytest.mark.parametrize("outsider", OUTSIDERS)
async def test_an_outsider_gets_its_answer_on_the_usual_inbox_and_overhears_nobody(
    provisioned_broker: Broker, outsider: str
) -> None:
    """An S3 server's notifier cannot be told an inbox prefix."""
    refusals: list[str] = []

    async def note(error: Exception) -> None:
        refusals.append(str(error))

    client = await nats.connect(
        provisioned_broker.url, user=outsider, password=provisioned_broker.passwords[outsider], error_cb=note
    )
    [name] = PUBLISHES[outsider]
    stored = await client.jetstream(timeout=30).publish(f"{SUBJECT_PREFIX}.{name}", b"{}")
    assert stored.seq > 0
    # The server takes a pattern for a literal when it looks it up: `_INBOX.*.>` is let in as well.
    heard = [await client.subscribe(subject) for subject in ("_INBOX.*.*", "_INBOX.*.>")]
    for subject in ("_INBOX.ingest.*", "_INBOX.>", ">", f"{SUBJECT_PREFIX}.>"):
        await client.subscribe(subject)
    await client.flush()
    admin = await provisioned_broker.client("admin")
    for other in ("ingest.secret", "ops.reader", "reporter.secret.token", "admin.1.2"):
        await admin.publish(f"_INBOX.{other}", b"not for you")
    await admin.publish("_INBOX.mine.token", b"heard")
    await admin.flush()
    for subscription in heard:
        assert (await subscription.next_msg(timeout=30)).data == b"heard"

    async def all_told() -> bool:
        return sum("permissions violation" in text.lower() for text in refusals) >= 4

    await until(all_told, 10)
    for one in (client, admin):
        await one.close()


@pytest.mark.parametrize("user", [*SERVICES, *OUTSIDERS, "ops"])
async def test_nobody_settles_for_another_or_changes_what_is_declared(
    provisioned_broker: Broker, user: str
) -> None:
    foreign = [one for one in CONSUMERS if one.service != user]
    places = [f"{one.stream}.{one.durable}" for one in foreign]
    subjects = [
        *(f"$JS.ACK.{place}.1.1.1.1.1" for place in places),
        *(f"$JS.API.CONSUMER.DELETE.{one.stream}.{one.durable}" for one in CONSUMERS),
        *(f"$JS.API.CONSUMER.CREATE.{one.stream}.{one.durable}" for one in CONSUMERS),
        *(f"$JS.API.CONSUMER.DURABLE.CREATE.{one.stream}.{one.durable}" for one in CONSUMERS),
        *(
            f"$JS.API.STREAM.{verb}.{stream.name}"
            for verb in ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE")
            for stream in STREAMS
        ),
    ]
    if user != "ops":  # an operator sees every backlog
        subjects += [f"$JS.API.CONSUMER.{verb}.{place}" for verb in ("INFO", "MSG.NEXT") for place in places]
    assert await refused(provisioned_broker, user, subjects) == set(subjects)


async def test_a_service_hears_neither_events_nor_the_replies_of_another(provisioned_broker: Broker) -> None:
    refusals: list[str] = []
    client = await provisioned_broker.client("dedup", refusals)
    for subject in (f"{SUBJECT_PREFIX}.>", "_INBOX.ingest.>", "_INBOX.>", ">", "$JS.>"):
        await client.subscribe(subject)
    await client.flush()
    await client.subscribe("_INBOX.dedup.more")
    await client.flush()
    assert len(refusals) == 5
    await client.close()


async def test_the_nameless_request_makes_no_durable(provisioned_broker: Broker) -> None:
    """It is allowed for short-lived readers; a durable hidden in its body must not slip through."""
    client = await provisioned_broker.client("ops")
    body = b'{"stream_name":"IMAGES","config":{"durable_name":"dedup-images","ack_policy":"explicit","max_deliver":1}}'
    answer = await client.request("$JS.API.CONSUMER.CREATE.IMAGES", body, timeout=30)
    assert b'"error"' in answer.data
    admin = await provisioned_broker.client("admin")
    assert (await admin.jetstream().consumer_info("IMAGES", "dedup-images")).config.max_deliver == -1
    await client.close()
    await admin.close()


async def test_ops_reads_a_log_from_its_start(provisioned_broker: Broker) -> None:
    admin = await provisioned_broker.client("admin")
    await admin.jetstream().publish(f"{SUBJECT_PREFIX}.bulk.identified", b"{}", stream="BULK")
    client = await provisioned_broker.client("ops")
    js = client.jetstream(timeout=30)
    state = (await js.stream_info("BULK")).state
    assert (await js.get_msg("BULK", state.first_seq)).seq == state.first_seq
    assert (await js.get_msg("BULK", 0, subject=">", next=True)).seq == state.first_seq
    info = await js.add_consumer(
        "BULK",
        ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.ALL,
            inactive_threshold=5.0,
            deliver_subject="_INBOX.ops.reader",
        ),
    )
    assert info.num_pending is not None
    ordered = await js.subscribe(f"{SUBJECT_PREFIX}.bulk.>", stream="BULK", ordered_consumer=True)
    assert (await ordered.next_msg(timeout=30)).metadata.sequence.stream == state.first_seq
    await client.close()
    await admin.close()


async def test_the_reporters_named_reader_may_be_made_pulled_and_removed(provisioned_broker: Broker) -> None:
    client = await provisioned_broker.client("reporter")
    js = client.jetstream(timeout=30)
    for stream in STREAMS:
        await js.add_consumer(
            stream.name,
            ConsumerConfig(name="reporter-rebuild", ack_policy=AckPolicy.NONE, inactive_threshold=60.0),
        )
        subscription = await js.pull_subscribe_bind("reporter-rebuild", stream.name)
        with contextlib.suppress(NatsError, TimeoutError):  # the log may be empty
            await subscription.fetch(10, timeout=0.2)
        await js.delete_consumer(stream.name, "reporter-rebuild")
    await client.close()


async def test_ops_says_any_message_again_sees_the_backlog_and_hears_the_flow(
    provisioned_broker: Broker,
) -> None:
    client = await provisioned_broker.client("ops")
    js = client.jetstream(timeout=30)
    flow = await client.subscribe(f"{SUBJECT_PREFIX}.>")
    for name in ALL_MESSAGES:
        await js.publish(f"{SUBJECT_PREFIX}.{name}", b"{}", timeout=30)
    assert (await flow.next_msg(timeout=30)).subject.startswith(SUBJECT_PREFIX)
    for one in CONSUMERS:
        await js.consumer_info(one.stream, one.durable)
    assert {info.config.name for info in await js.streams_info()} == {stream.name for stream in STREAMS}
    await client.close()


@pytest.mark.parametrize(("user", "password"), [("ingest", "wrong"), ("nobody", "x"), (None, None)])
async def test_nobody_comes_in_without_a_password(
    provisioned_broker: Broker, user: str | None, password: str | None
) -> None:
    async def silent(_: Exception) -> None: ...

    with pytest.raises((NatsError, APIError)):
        await nats.connect(
            provisioned_broker.url,
            user=user,
            password=password,
            error_cb=silent,
            allow_reconnect=False,
            max_reconnect_attempts=1,
        )


def test_every_service_has_a_user_and_may_only_hear_its_own_inbox() -> None:
    assert set(users()) == {"admin", "ops", *SERVICES, "upstream", "bucket-notifier"}
    for service in SERVICES:
        assert service_permissions(service).subscribe == (f"_INBOX.{service}.>",)
        assert all(not subject.startswith(">") for subject in service_permissions(service).publish)


def test_every_message_that_somebody_hears_is_said_by_somebody() -> None:
    heard = {name for one in CONSUMERS for name in one.names}
    assert heard <= set(ALL_MESSAGES)
