"""The uploader against an HTTP server that fails in every way a restarting ingest does."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.ops.clients.errors import OpsError, Unreachable
from services.ops.clients.plan import PlannedFile, UploadRules, plan_uploads
from services.ops.clients.retry import persist, poll
from services.ops.clients.ulid import UlidSource
from services.ops.clients.uploads import Uploader

Answer = Callable[[int, list[dict[str, str]]], int]


class Counter:
    """What the server saw."""

    def __init__(self) -> None:
        self.calls = 0
        self.kept: dict[str, str] = {}
        self.tokens: set[str | None] = set()
        self.lock = threading.Lock()


@contextmanager
def server(status: Answer) -> Iterator[tuple[str, Counter]]:
    """Answers uploads with the status that ``status`` chooses; 0 cuts the connection."""
    seen = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts = [part.get_payload(decode=True) for part in message_from_bytes(head + body).get_payload()]
            metas, files = json.loads(parts[0]), parts[1:]
            with seen.lock:
                seen.calls += 1
                code = status(seen.calls, metas)
                seen.tokens.add(self.headers["Authorization"])
                ids = [hashlib.sha256(data).hexdigest() for data in files]
                received = [
                    {"upload_id": meta["upload_id"], "image_id": one}
                    for meta, one in zip(metas, ids, strict=True)
                ]
                if code in (0, 202):  # a cut connection may come after the files were kept
                    seen.kept.update({one["upload_id"]: one["image_id"] for one in received})
            if code == 0:
                self.close_connection = True
                self.connection.close()
                return
            data = json.dumps({"received": received} if code == 202 else {"detail": "no"}).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}", seen
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


@pytest.fixture
def files(tmp_path: Path) -> tuple[PlannedFile, ...]:
    for number in range(100):
        (tmp_path / f"{number:03}.png").write_bytes(f"picture {number % 90}".encode())
    return plan_uploads([tmp_path], UploadRules(), UlidSource()).files


async def test_files_go_in_batches_with_the_token(files: tuple[PlannedFile, ...]) -> None:
    sent: list[int] = []
    with server(lambda call, metas: 202) as (url, seen):
        outcome = await Uploader(url, "secret").upload(files, sent.append)
    assert sorted(sent) == [4, 32, 32, 32]
    assert seen.tokens == {"Bearer secret"}
    assert outcome.received == {
        file.upload_id: hashlib.sha256(file.path.read_bytes()).hexdigest() for file in files
    }


async def test_a_restart_in_the_middle_loses_nothing_and_repeats_the_same_ids(
    files: tuple[PlannedFile, ...],
) -> None:
    answers = {1: 503, 2: 0, 4: 500, 5: 0}
    with server(lambda call, metas: answers.get(call, 202)) as (url, seen):
        outcome = await Uploader(url, "secret").upload(files)
    assert seen.kept == outcome.received
    assert len(seen.kept) == 100
    assert seen.calls == 4 + len(answers)


async def test_one_refused_file_does_not_take_its_neighbours_along(files: tuple[PlannedFile, ...]) -> None:
    bad = files[40].upload_id
    with server(lambda call, metas: 413 if bad in [meta["upload_id"] for meta in metas] else 202) as (
        url,
        seen,
    ):
        outcome = await Uploader(url, "secret").upload(files)
    assert list(outcome.refused) == [bad]
    assert len(outcome.received) == 99
    assert set(seen.kept) == {file.upload_id for file in files} - {bad}


async def test_a_wrong_token_ends_the_upload_at_once(files: tuple[PlannedFile, ...]) -> None:
    with server(lambda call, metas: 401) as (url, seen), pytest.raises(OpsError, match="HTTP 401"):
        await Uploader(url, "wrong").upload(files)
    assert seen.calls <= 3


async def test_patience_ends_with_a_sentence_that_says_what_to_do(files: tuple[PlannedFile, ...]) -> None:
    with (
        server(lambda call, metas: 503) as (url, _),
        pytest.raises(OpsError, match="run the same upload again"),
    ):
        await Uploader(url, "secret", patience_s=0.5).upload(files)


async def test_a_file_that_vanishes_is_named(files: tuple[PlannedFile, ...]) -> None:
    files[50].path.unlink()
    with (
        server(lambda call, metas: 202) as (url, _),
        pytest.raises(OpsError, match=r"050\.png cannot be read"),
    ):
        await Uploader(url, "secret").upload(files)


async def test_polling_sits_out_an_outage_and_ends_with_a_deadline() -> None:
    answers: list[object] = [Unreachable("away"), None, Unreachable("away"), "there"]

    async def read() -> str | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]

    assert await poll(read, what="it", timeout_s=30, every_s=0.01) == "there"

    async def never() -> str | None:
        return None

    with pytest.raises(OpsError, match="it did not happen within 0 s"):
        await poll(never, what="it", timeout_s=0.2, every_s=0.01)


async def test_persistence_ends_with_the_last_error() -> None:
    async def away() -> None:
        raise Unreachable("still away")

    with pytest.raises(Unreachable, match="still away"):
        await persist(away, patience_s=0.5)
