"""The supervisor with the real servers: it starts in order, keeps alive, stops cleanly, leaves nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from contracts.manifests import Buckets
from deploy.provision.settings import ProvisionSettings
from services.ops.clients.errors import NotRunning, OpsError
from services.ops.stack.layout import Layout
from services.ops.stack.ports import HIGHEST_BASE, HOST, Ports
from services.ops.stack.record import ProcessRecord, StackRecord, connect_to, load_record, own_process
from services.ops.stack.running import stop_running
from services.ops.stack.stack import Stack
from services.runtime.objectstore import ObjectStore
from tests.support.fake_stack import fake_services

pytestmark = pytest.mark.integration


def until(condition: Callable[[], object], deadline_s: float = 60.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not so within {deadline_s:g} s"
        time.sleep(0.05)


async def until_async(condition: Callable[[], object], deadline_s: float = 60.0) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not so within {deadline_s:g} s"
        await asyncio.sleep(0.05)


def small(folder: Path, **changes: object) -> Stack:
    return Stack(folder / "data", services=fake_services(ingest="lives"), **changes)  # type: ignore[arg-type]


def store_of(stack: Stack) -> ObjectStore:
    return ObjectStore(
        ProvisionSettings.model_validate(
            {
                "s3_endpoint": stack.urls["s3"].removeprefix("http://"),
                "s3_access_key": stack.credentials.s3_access_key,
                "s3_secret_key": stack.credentials.s3_secret_key,
            }
        )
    )


async def test_everything_serves_and_secrets_are_the_owners(tmp_path: Path) -> None:
    async with small(tmp_path) as stack:
        states = {name: one["state"] for name, one in stack.status()["processes"].items()}
        assert states == {"nats": "ready", "s3": "ready", "ingest": "ready"}
        store_of(stack).ping(Buckets.LIBRARY)
        assert stat.S_IMODE(stack.layout.root.stat().st_mode) == 0o700
        for path in (stack.layout.credentials_file, stack.layout.nats_config, stack.layout.s3_config):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        found = connect_to(stack.layout)
        assert (found.urls, found.ops_password) == (stack.urls, stack.credentials.nats["ops"])
        assert found.state == "ready"


async def test_servers_listen_on_the_loopback_only(tmp_path: Path) -> None:
    async with small(tmp_path) as stack:
        addresses = {
            listening.laddr.ip
            for pid in stack.pids.values()
            for listening in psutil.Process(pid).net_connections("tcp")
            if listening.status == psutil.CONN_LISTEN
        }
    assert addresses == {HOST}


@pytest.mark.parametrize("victim", ["nats", "s3", "ingest"])
async def test_what_is_killed_starts_again_and_serves(tmp_path: Path, victim: str) -> None:
    async with small(tmp_path) as stack:
        ref = store_of(stack).put(Buckets.LIBRARY, "kept", b"pixels")
        killed = stack.pids[victim]
        os.kill(killed, signal.SIGKILL)
        await until_async(lambda: stack.status()["processes"][victim]["restarts"] == 1)
        await until_async(lambda: stack.status()["processes"][victim]["state"] == "ready")
        assert stack.pids[victim] != killed
        assert store_of(stack).get(ref) == b"pixels"
        lines = [json.loads(line) for line in stack.layout.log("supervisor").read_text().splitlines()]
        died = [line for line in lines if line["state"] == "died"]
        assert [(line["process"], line["detail"].split(",")[0]) for line in died] == [
            (victim, "killed by SIGKILL")
        ]


async def test_a_process_that_keeps_dying_is_tried_with_growing_pauses(tmp_path: Path) -> None:
    pauses: list[str] = []
    async with small(tmp_path, on_event=lambda event: pauses.append(event.detail)) as stack:
        for count in (1, 2, 3):
            os.kill(stack.pids["ingest"], signal.SIGKILL)
            await until_async(lambda count=count: stack.status()["processes"]["ingest"]["restarts"] == count)  # type: ignore[misc]
            await until_async(lambda: stack.pids.get("ingest"))
    told = [pause.split("again in ")[1] for pause in pauses if "again in" in pause]
    assert told == ["0.2 s", "0.4 s", "0.8 s"]


async def test_what_a_dead_process_left_running_is_ended_before_its_successor_starts(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data", services=fake_services(reporter="parent"))
    async with stack:
        left = stack.layout.work("reporter") / "child.pid"
        child = int(left.read_text())
        left.unlink()
        os.kill(stack.pids["reporter"], signal.SIGKILL)
        await until_async(left.exists)
        await until_async(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")


async def test_a_second_supervisor_of_the_same_directory_is_refused(tmp_path: Path) -> None:
    async with small(tmp_path) as stack:
        with pytest.raises(
            OpsError, match=rf"already runs in .*process {os.getpid()}\).*menagerie down --data-dir"
        ):
            await small(tmp_path).start()
        assert stack.status()["state"] == "ready"
        assert connect_to(stack.layout).state == "ready"  # the refused one wrote nothing


async def test_two_directories_run_side_by_side(tmp_path: Path) -> None:
    async with Stack(tmp_path / "a", services={}) as one, Stack(tmp_path / "b", services={}) as other:
        assert one.urls["s3"] != other.urls["s3"]
        assert one.credentials.api_token != other.credentials.api_token


async def test_a_second_start_continues_with_the_same_ports_secrets_and_data(tmp_path: Path) -> None:
    async with small(tmp_path, chosen={"image_size_px": "64"}) as first:
        urls, secrets = first.urls, first.credentials
        refs = [store_of(first).put(Buckets.LIBRARY, f"first-{n}", b"%d" % n) for n in range(20)]
    async with small(tmp_path) as second:
        assert (second.urls, second.credentials) == (urls, secrets)
        store = store_of(second)
        # New objects must not take the places of old ones: the server learns its ids anew at each start.
        refs += [store.put(Buckets.LIBRARY, f"second-{n}", b"1%d" % n) for n in range(20)]
        assert [store.get(ref) for ref in refs] == [b"%d" % n for n in range(20)] + [
            b"1%d" % n for n in range(20)
        ]
        env = json.loads((second.layout.work("ingest") / "environment.json").read_text())
    assert env["MENAGERIE_IMAGE_SIZE_PX"] == "64"
    assert env["MENAGERIE_NATS_USER"] == "ingest"
    assert env["MENAGERIE_NATS_PASSWORD"] == secrets.nats["ingest"]
    assert secrets.nats["admin"] not in env.values()


async def test_a_clean_stop_leaves_no_process_no_socket_and_says_so(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data", services=fake_services(ingest="lives", reporter="parent"))
    await stack.start()
    pids = [*stack.pids.values(), int((stack.layout.work("reporter") / "child.pid").read_text())]
    ports = {str(port) for port in Ports(int(stack.urls["nats"].rsplit(":", 1)[1])).weed().values()}
    await stack.stop()
    await until_async(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    assert not [
        path
        for path in Path(tempfile.gettempdir()).glob("seaweedfs-*.sock")
        if path.stem.rsplit("-", 1)[-1] in ports
    ]
    record = load_record(stack.layout)
    assert record is not None
    assert (record.state, {one.pid for one in record.processes.values()}) == ("stopped", {None})
    with pytest.raises(NotRunning, match="start it with `menagerie up --data-dir"):
        connect_to(stack.layout)


async def test_a_service_that_cannot_start_is_named_with_the_end_of_its_log_and_all_is_stopped(
    tmp_path: Path,
) -> None:
    stack = Stack(tmp_path / "data", services=fake_services(ingest="lives", trainer="dies"))
    with pytest.raises(
        OpsError, match=r"trainer does not start; see .*trainer\.log, it ends: .*a setting is wrong"
    ):
        await stack.start()
    assert stack.pids == {}
    async with small(tmp_path):  # neither lock nor ports are kept
        pass


async def test_a_taken_port_is_named_when_the_base_was_asked_for(tmp_path: Path) -> None:
    with ExitStack() as sockets:
        base = HIGHEST_BASE + 1
        while base > HIGHEST_BASE:  # the system gives any port above 32,768
            taken = sockets.enter_context(socket.socket())
            taken.bind((HOST, 0))
            taken.listen()
            base = taken.getsockname()[1] - 2
        with pytest.raises(OpsError, match=rf"port {base + 2} \(s3 s3\) of --port-base {base} is taken"):
            await small(tmp_path, port_base=base).start()


async def test_processes_of_a_killed_supervisor_are_stopped_before_a_new_start(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    layout.create()
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    stranger = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True
    )
    try:
        reused = ProcessRecord(stranger.pid, psutil.Process(stranger.pid).create_time() - 3600, "ready")
        processes = {"trainer": own_process(orphan.pid), "dedup": reused}
        StackRecord(18400, "ready", ProcessRecord(), processes).store(layout)
        async with small(tmp_path):
            assert not psutil.pid_exists(orphan.pid)
            assert stranger.poll() is None  # its number was somebody else's by then
    finally:
        orphan.kill()
        stranger.kill()
        orphan.wait()
        stranger.wait()


@pytest.fixture
def foreground(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.fake_stack", str(tmp_path / "data")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def processes_below(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return not [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_all_in_order(
    tmp_path: Path, foreground: subprocess.Popen[str], number: int
) -> None:
    assert foreground.stdout is not None
    assert foreground.stdout.readline() == "ready\n"
    below = processes_below(foreground)
    assert len(below) >= 5
    foreground.send_signal(number)
    assert foreground.stdout.read() == "stopping\nstopped\n"
    assert foreground.wait(30) == 0
    until(lambda: gone(below), 10)
    lines = [
        json.loads(line) for line in Layout(tmp_path / "data").log("supervisor").read_text().splitlines()
    ]
    stopped = [line["process"] for line in lines if line["state"] == "stopped"]
    assert set(stopped[:2]) == {"ingest", "reporter"}
    assert stopped[2:] == ["s3", "nats"]


def test_down_stops_a_stack_that_runs_elsewhere(tmp_path: Path, foreground: subprocess.Popen[str]) -> None:
    assert foreground.stdout is not None
    assert foreground.stdout.readline() == "ready\n"
    below = processes_below(foreground)
    layout = Layout(tmp_path / "data")
    assert stop_running(layout) is True
    assert foreground.wait(30) == 0
    until(lambda: gone(below), 10)
    assert stop_running(layout) is False


def test_a_stack_that_is_interrupted_while_it_starts_leaves_nothing(
    tmp_path: Path, foreground: subprocess.Popen[str]
) -> None:
    layout = Layout(tmp_path / "data")
    until(
        lambda: layout.record_file.exists() and (record := load_record(layout)) and "nats" in record.processes
    )
    below = processes_below(foreground)
    foreground.send_signal(signal.SIGINT)
    assert foreground.wait(30) == 0
    until(lambda: gone(below), 10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_nothing_survives_a_killed_supervisor(tmp_path: Path, foreground: subprocess.Popen[str]) -> None:
    assert foreground.stdout is not None
    assert foreground.stdout.readline() == "ready\n"
    direct = psutil.Process(foreground.pid).children()
    foreground.kill()
    until(lambda: gone(direct), 30)
    layout = Layout(tmp_path / "data")
    with pytest.raises(NotRunning):
        connect_to(layout)
    assert stop_running(layout) is False
