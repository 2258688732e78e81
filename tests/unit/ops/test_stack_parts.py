"""Parts of the one-machine stack that need no server."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.provision.server_config import BrokerServer, render
from services.ops.clients.errors import OpsError
from services.ops.stack import preferences, weed
from services.ops.stack.credentials import NATS_USERS, ensure_credentials, load_credentials
from services.ops.stack.layout import Layout, read_json, write_private
from services.ops.stack.lock import StackLock, is_held
from services.ops.stack.ports import HIGHEST_BASE, LOWEST_BASE, Ports, claim, claim_block
from services.ops.stack.record import ProcessRecord, StackRecord, load_record, own_process
from services.ops.stack.spawn import LOG_LIMIT_BYTES, last_lines, program, rotate


@given(st.integers(LOWEST_BASE, HIGHEST_BASE))
def test_ports_of_a_block_are_distinct_and_valid(base: int) -> None:
    ports = list(Ports(base).all().values())
    assert len(set(ports)) == len(ports)
    assert all(0 < port <= 65535 for port in ports)


@given(st.integers(LOWEST_BASE // 100 + 1, HIGHEST_BASE // 100 - 101), st.integers(1, 300))
def test_blocks_of_different_hundreds_share_no_port(hundred: int, apart: int) -> None:
    one, other = Ports(hundred * 100), Ports((hundred + apart) * 100)
    shared = set(one.all().values()) & set(other.all().values())
    # The S3 server's own rule puts one port 10,000 higher: only blocks exactly that far apart can meet there.
    assert not shared or apart == 100


def test_a_claimed_block_is_nobody_elses_until_it_is_given_back() -> None:
    ports, claimed = claim(None, None)
    with claimed:
        others, theirs = claim(None, ports.base)
        theirs.close()
        assert others.base != ports.base
        with pytest.raises(OSError, match="in use"):
            claim_block(ports)
    claim_block(ports).close()


def test_a_block_with_one_taken_port_is_not_claimed() -> None:
    ports, claimed = claim(None, None)
    claimed.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.service("reporter")))
        taken.listen()
        with pytest.raises(OpsError, match=rf"port {ports.base + 15} \(reporter\)"):
            claim(ports.base, None)
        others, theirs = claim(None, ports.base)
        theirs.close()
        assert others.base != ports.base


@pytest.mark.parametrize("base", [0, -1, 80, 65_000, 10**9])
def test_a_base_out_of_range_is_refused(base: int) -> None:
    with pytest.raises(OpsError, match="out of range: choose one from 1024 to 55529"):
        claim(base, None)


def test_secrets_are_made_once_and_a_new_service_gets_its_own(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    first = ensure_credentials(layout)
    assert ensure_credentials(layout) == first == load_credentials(layout)
    assert stat.S_IMODE(layout.credentials_file.stat().st_mode) == 0o600
    assert len({*first.nats.values(), first.s3_secret_key, first.api_token}) == len(NATS_USERS) + 2
    stored = read_json(layout.credentials_file)
    del stored["nats"]["dedup"]
    write_private(layout.credentials_file, json.dumps(stored))
    again = ensure_credentials(layout)
    assert again.nats["ingest"] == first.nats["ingest"]
    assert again.nats["dedup"] not in ("", first.nats["dedup"])


def test_secrets_do_not_show_themselves(tmp_path: Path) -> None:
    secrets = ensure_credentials(Layout(tmp_path))
    assert secrets.api_token not in repr(secrets)


def test_a_directory_of_somebody_else_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    mode = tmp_path.stat().st_mode
    with pytest.raises(OpsError, match="is not empty and holds no Menagerie data"):
        Layout(tmp_path).create()
    assert tmp_path.stat().st_mode == mode


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OpsError, match=r"cannot be used .*choose another --data-dir"):
        Layout(tmp_path / "file").create()


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.record_file.write_text("{not json")
    with pytest.raises(OpsError, match=r"stack\.json cannot be read"):
        load_record(layout)
    layout.record_file.write_text('{"port_base": 18400}')
    with pytest.raises(OpsError, match=r"stack\.json is damaged"):
        load_record(layout)


def test_a_record_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    record = StackRecord(
        18500, "ready", own_process(os.getpid()), {"nats": ProcessRecord(7, 1.5, "ready", 3)}
    )
    record.store(Layout(tmp_path))
    assert load_record(Layout(tmp_path)) == record
    assert json.loads((tmp_path / "stack.json").read_text())["web"] == "http://127.0.0.1:18515"


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    own = own_process(os.getpid())
    assert own.find() is not None
    assert ProcessRecord(own.pid, own.started_at - 60).find() is None
    assert ProcessRecord().find() is None


def test_one_holds_the_lock_and_the_other_hears_who(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    first, second = StackLock(layout), StackLock(layout)
    assert not is_held(layout)
    first.acquire()
    assert is_held(layout)
    with pytest.raises(OpsError, match=rf"process {os.getpid()}"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_chosen_settings_are_remembered_and_taken_back(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert preferences.remember(layout, {"a": "1", "b": "2"}) == {"a": "1", "b": "2"}
    assert preferences.remember(layout, {"a": "", "b": "3"}) == {"b": "3"}
    assert preferences.remember(layout, {}) == {"b": "3"}


@pytest.mark.parametrize("pair", ["image_size_px", "=3", "image size=3", "a;b=1", "../x=1"])
def test_a_malformed_choice_is_refused_with_an_example(pair: str) -> None:
    with pytest.raises(OpsError, match="is not NAME=VALUE: write for example --set image_size_px=64"):
        preferences.parse([pair])


def test_what_the_stack_decides_cannot_be_chosen() -> None:
    with pytest.raises(OpsError, match="--set nats_url is decided by `menagerie up` itself"):
        preferences.parse(["NATS_URL=nats://elsewhere"])


def test_a_setting_that_no_service_has_is_refused_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preferences, "known_settings", lambda: {"max_distance_bits"})
    assert preferences.parse(["MENAGERIE_MAX_DISTANCE_BITS=24"]) == {"max_distance_bits": "24"}
    with pytest.raises(OpsError, match=r"--set max_distance: no service has that.*max_distance_bits"):
        preferences.parse(["max_distance=24"])


def test_the_s3_server_is_closed_in_every_way_it_offers() -> None:
    flags = weed.command("weed", Path("/data"), Path("/s3.json"), Ports(18400).weed())
    assert {
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-disableHttp=true",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-admin.ui=false",
        "-webdav=false",
        "-admin.port.grpc=28406",
    } <= set(flags)
    first, second = weed.environment(), weed.environment()
    assert first["WEED_JWT_SIGNING_KEY"] != second["WEED_JWT_SIGNING_KEY"]


def test_a_broker_configuration_quotes_what_a_path_may_hold() -> None:
    text = render(BrokerServer(1, 2, Path('/tmp/zoo "ü" {x}/nats'), {"admin": 'a"b'}))
    assert r'store_dir: "/tmp/zoo \"ü\" {x}/nats"' in text
    assert r'password: "a\"b"' in text
    assert "sync_interval: always" in text


def test_a_grown_log_is_put_aside_once(tmp_path: Path) -> None:
    log = tmp_path / "nats.log"
    log.write_bytes(b"x" * (LOG_LIMIT_BYTES + 1))
    rotate(log)
    assert not log.exists()
    assert (tmp_path / "nats.log.1").stat().st_size == LOG_LIMIT_BYTES + 1
    log.write_text("one\ntwo\n\nthree\n")
    rotate(log)
    assert last_lines(log) == "two | three"


def test_a_missing_program_is_named_with_what_to_run() -> None:
    with pytest.raises(OpsError, match=r"program 'no-such-server' is not installed .* run `make setup`"):
        program("no-such-server")
