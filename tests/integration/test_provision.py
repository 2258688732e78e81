"""Provisioning on a real broker: what it makes, mends and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import replace

import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy, StorageType, StreamConfig

from contracts.manifests import Buckets
from contracts.subjects import CONSUMERS, STREAMS, consumer
from deploy.provision import streams
from deploy.provision.buckets import provision_buckets
from deploy.provision.changes import ProvisionError
from deploy.provision.streams import provision_streams, undeclared
from services.runtime.objectstore import ObjectStore
from tests.support.servers import Broker, S3Server

pytestmark = pytest.mark.integration


async def admin(broker: Broker) -> JetStreamContext:
    return (await broker.client("admin")).jetstream(timeout=15)


async def test_the_first_run_makes_everything_and_the_second_changes_nothing(broker: Broker) -> None:
    js = await admin(broker)
    made = await provision_streams(js)
    assert {str(change) for change in made} == {
        *(f"stream {stream.name}: created" for stream in STREAMS),
        *(f"consumer {one.durable}: created" for one in CONSUMERS),
    }
    assert await provision_streams(js) == []


async def test_streams_keep_everything_on_disk_and_refuse_rather_than_forget(broker: Broker) -> None:
    js = await admin(broker)
    await provision_streams(js)
    config = (await js.stream_info("IMAGES")).config
    assert (config.storage, config.discard, config.retention) == ("file", "new", "limits")
    assert (config.max_age, config.max_msgs, config.max_bytes, config.duplicate_window) == (
        0.0,
        -1,
        -1,
        600.0,
    )


async def test_a_durable_has_the_settings_of_the_contract_and_no_limit_of_deliveries(broker: Broker) -> None:
    js = await admin(broker)
    await provision_streams(js)
    declared = consumer("reporter-images")
    config = (await js.consumer_info("IMAGES", "reporter-images")).config
    assert (config.ack_policy, config.ack_wait, config.max_deliver) == ("explicit", declared.ack_wait_s, -1)
    assert config.max_ack_pending == declared.max_ack_pending
    assert sorted(config.filter_subjects or []) == sorted(declared.subjects)


async def test_a_durable_that_drifted_is_brought_back_and_keeps_its_place(broker: Broker) -> None:
    js = await admin(broker)
    await provision_streams(js)
    await js.publish("menagerie.v1.image.uploaded", b"{}")
    message = (await (await js.pull_subscribe("", "ingest-uploads", stream="IMAGES")).fetch(1))[0]
    await message.ack_sync()
    await js.add_consumer(
        "IMAGES",
        ConsumerConfig(
            durable_name="ingest-uploads",
            ack_policy="explicit",
            ack_wait=5,
            max_deliver=2,
            max_ack_pending=7,  # type: ignore[arg-type]
            filter_subject="menagerie.v1.image.>",
        ),
    )
    (change,) = await provision_streams(js)
    assert set(change.fields) == {"ack_wait", "max_deliver", "max_ack_pending", "filter_subjects"}
    assert "ack_wait 5.0 -> 30.0" in str(change)
    after = await js.consumer_info("IMAGES", "ingest-uploads")
    assert (after.config.max_deliver, after.config.filter_subjects) == (-1, ["menagerie.v1.image.uploaded"])
    assert after.ack_floor is not None
    assert after.ack_floor.stream_seq == 1


async def test_a_stream_that_drifted_is_brought_back_and_keeps_its_messages(broker: Broker) -> None:
    js = await admin(broker)
    await provision_streams(js)
    await js.publish("menagerie.v1.image.uploaded", b"{}")
    config = (await js.stream_info("IMAGES")).config
    await js.update_stream(config.evolve(max_msgs=10, max_age=3600.0, discard="old", description="ours"))
    (change,) = await provision_streams(js)
    assert set(change.fields) == {"max_msgs", "max_age", "discard"}
    after = await js.stream_info("IMAGES")
    assert (after.state.messages, after.config.max_msgs, after.config.max_age) == (1, -1, 0.0)
    assert after.config.description == "ours"  # what nobody declares stays the operator's


async def test_a_consumer_that_hears_more_in_the_contract_is_widened(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    js = await admin(broker)
    await provision_streams(js)
    wider = replace(consumer("dedup-images"), names=("image.accepted", "image.labelled"))
    monkeypatch.setattr(streams, "CONSUMERS", (wider,))
    (change,) = await provision_streams(js)
    assert set(change.fields) == {"filter_subjects"}


async def test_storage_that_cannot_be_changed_is_refused_with_what_to_do(broker: Broker) -> None:
    js = await admin(broker)
    await js.add_stream(
        StreamConfig(name="BULK", subjects=["menagerie.v1.bulk.>"], storage=StorageType.MEMORY)
    )
    with pytest.raises(
        ProvisionError, match=r"stream BULK has .*storage.*memory.*cannot change in place.*delete it"
    ):
        await provision_streams(js)


async def test_a_stream_that_holds_our_subjects_is_named_when_ours_cannot_be_made(broker: Broker) -> None:
    js = await admin(broker)
    await js.add_stream(StreamConfig(name="OTHER", subjects=["menagerie.v1.bulk.>"]))
    with pytest.raises(ProvisionError, match=r"stream BULK could not be created.*overlap"):
        await provision_streams(js)


async def test_a_durable_with_another_start_is_refused(broker: Broker) -> None:
    js = await admin(broker)
    await js.add_stream(StreamConfig(name="BULK", subjects=["menagerie.v1.bulk.>"]))
    await js.add_consumer(
        "BULK", ConsumerConfig(durable_name="reporter-bulk", deliver_policy=DeliverPolicy.NEW)
    )
    with pytest.raises(
        ProvisionError, match=r"consumer reporter-bulk of stream BULK has deliver_policy.*cannot change"
    ):
        await provision_streams(js)


async def test_a_durable_that_nobody_declares_is_told(broker: Broker) -> None:
    js = await admin(broker)
    await provision_streams(js)
    await js.add_consumer("BULK", ConsumerConfig(durable_name="left-over"))
    assert await undeclared(js) == ["BULK/left-over"]


def test_buckets_are_made_once(s3_server: S3Server) -> None:
    store = ObjectStore(s3_server.settings)
    provision_buckets(store)
    assert provision_buckets(store) == []
    for bucket in Buckets.ALL:
        store.ping(bucket)


def job(broker: Broker, weed: S3Server, password: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "MENAGERIE_NATS_URL": broker.url,
        "MENAGERIE_NATS_PASSWORD": password,
        "MENAGERIE_S3_ENDPOINT": weed.settings.s3_endpoint,
        "MENAGERIE_S3_ACCESS_KEY": weed.settings.s3_access_key,
        "MENAGERIE_S3_SECRET_KEY": weed.settings.s3_secret_key.get_secret_value(),
    }
    command = [sys.executable, "-m", "deploy.provision"]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_provisions_and_then_says_that_all_is_as_declared(broker: Broker, weed: S3Server) -> None:
    first, second = (job(broker, weed, broker.passwords["admin"]) for _ in range(2))
    assert "stream IMAGES: created" in first.stdout
    assert (second.returncode, second.stdout) == (0, "all as declared\n")


def test_the_command_fails_with_one_sentence_when_it_is_not_let_in(broker: Broker, weed: S3Server) -> None:
    refused = job(broker, weed, "wrong")
    assert refused.returncode == 1
    assert refused.stderr.startswith("provision: NATS at")
    assert "MENAGERIE_NATS_URL" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_server_itself_reports_that_every_write_is_synced(broker: Broker) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.monitor_port}/jsz?config=1", timeout=10) as answer:
        report = json.load(answer)
    assert report["config"]["sync_always"] is True
    assert report["config"]["store_dir"].startswith(str(broker.folder))
