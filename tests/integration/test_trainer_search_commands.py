"""`menagerie search` on a real broker and a real reporter; the trials' scores are the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext

from contracts.commands import RequestSearch, RequestTraining
from contracts.events import SearchCompleted
from contracts.message import Message
from services.ops import cli
from services.ops.commands import session
from services.ops.stack.record import Connection
from services.runtime.database import Database
from services.trainer.search.report import ReportSpec
from services.trainer.search.report import completed as search_completed
from services.trainer.search.reporting import report
from services.trainer.store.searches import SearchState
from tests.support.browser import serving
from tests.support.probe import until
from tests.support.reporter_house import TOKEN, application, migrated, page_settings
from tests.support.reporter_story import project_into
from tests.support.searching import (
    AT,
    SearchDesk,
    cancelled,
    completed,
    failed,
    merit,
    progressed,
    search_desk,
)
from tests.support.servers import Broker, S3Server
from tests.support.trainer_house import said

pytestmark = pytest.mark.integration

SPACE = (
    "--space",
    "learning_rate=1e-4:1e-1:log",
    "--space",
    "dropout=0:0.5:0.1",
    "--space",
    "batch_size=16,32",
)
ASK = ("search", *SPACE, "--snapshot", "snap", "--base", "scratch", "--set", "epochs=6", "--by", "ann")


@dataclass
class Room:
    """A reporter, a broker, and the trainer's store played by the test."""

    desk: SearchDesk
    database: Database
    s3: S3Server
    js: JetStreamContext
    capsys: pytest.CaptureFixture[str]
    seq: int = 0
    projected: int = 0
    heard: list[Message] = field(default_factory=list)

    async def type(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a command, which runs in a thread as it does in a process."""

        def run() -> int:
            try:
                cli.main(arguments)
            except SystemExit as ended:
                return int(str(ended.code or 0))
            return 0

        code = await asyncio.to_thread(run)
        shown = self.capsys.readouterr()
        return code, shown.out, shown.err

    async def ask(self, *arguments: str) -> Any:
        """The JSON of a command that ends well."""
        code, out, err = await self.type(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    async def requested(self) -> RequestSearch:
        """The newest search that was asked for; the reporter hears of it too."""

        async def asked() -> bool:
            return bool(await said(self.js, RequestSearch))

        await until(asked)
        request = (await said(self.js, RequestSearch))[-1]
        await self.hear(request)
        return request

    async def hear(self, *messages: Message) -> None:
        """Trainer's store and reporter hear them, and the reporter what the store says to it."""
        for message in messages:
            self.desk.say(message, AT)
            told, self.projected = self.desk.told[self.projected :], len(self.desk.told)
            pairs = []
            for one in (message, *told):
                self.seq += 1
                pairs.append((one, self.seq))
            await project_into(self.database, pairs)

    async def finish(self, search_id: str) -> None:
        """Report as the trainer does."""
        search = self.desk.search(search_id)
        assert search.state is SearchState.REPORTING
        spec = ReportSpec(request=search.request, base=search.base, trials=search.trials)
        written = await asyncio.to_thread(report, self.s3.store(), spec)
        assert written.report is not None
        assert written.page is not None
        await self.hear(search_completed(spec, written.report, written.page, AT))


@asynccontextmanager
async def opened(
    broker: Broker, weed: S3Server, folder: Path, capsys: Any, patch: pytest.MonkeyPatch
) -> AsyncIterator[Room]:
    await asyncio.to_thread(broker.provision)
    url = f"sqlite:///{folder}/reporter.sqlite"
    database = migrated(url)
    client = await broker.client("admin")
    with serving(application(database, page_settings(url), weed.store())) as address, search_desk() as desk:
        urls = {"reporter": address, "nats": broker.url}
        stack = Connection(urls, broker.passwords["ops"], TOKEN, "ready", {})
        patch.setattr(session, "find_stack", lambda data_dir: stack)
        patch.setattr("services.ops.commands.search.find_stack", lambda data_dir: stack)
        yield Room(desk, database, weed, client.jetstream(timeout=15), capsys)
    await client.close()
    database.close()


@pytest.fixture
async def room(
    broker: Broker, weed: S3Server, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Room]:
    async with opened(broker, weed, tmp_path, capsys, monkeypatch) as made:
        yield made


async def test_a_search_is_followed_to_its_end_listed_and_its_report_saved(
    room: Room, tmp_path: Path
) -> None:
    following = asyncio.create_task(room.type(*ASK, "--trials", "4", "--parallel", "2"))
    request = await room.requested()
    assert (request.trials, request.parallel, request.options.epochs) == (4, 2, 6)
    while (search := room.desk.search(request.search_id)).state is SearchState.RUNNING:
        run_id = next(one.run_id for one in search.trials if one.state.value == "running")
        asked = next(one for one in room.desk.asked if one.run_id == run_id)
        score = merit({"learning_rate": asked.options.learning_rate, "dropout": asked.options.dropout or 0.0})
        await room.hear(
            progressed(run_id, 1, score / 2), completed(run_id, score, pruned=asked.trial_number == 3)
        )
    await room.finish(request.search_id)
    code, out, err = await following
    assert code == 0, err
    assert "Best: trial" in out
    assert "menagerie train --from-file best.json" in out

    (listed,) = (await room.ask("searches"))["searches"]
    assert (listed["state"], listed["counts"]) == ("completed", {"complete": 3, "pruned": 1})
    folder = tmp_path / "saved"
    found = await room.ask("search-report", request.search_id, "--output", str(folder))
    assert found["best_run_id"] in {one.run_id for one in room.desk.asked}
    assert (folder / "page.html").read_text().startswith("<!DOCTYPE html>")
    best = json.loads((folder / "best.json").read_text())
    assert best == await room.ask("search-report", request.search_id, "--best")
    again = RequestTraining.model_validate(best | {"run_id": "again", "by": "ann", "requested_at": AT})
    (told,) = [one for one in room.desk.told if isinstance(one, SearchCompleted)]
    assert again.options == told.best_options


async def test_a_search_that_cannot_start_fails_with_what_to_correct(room: Room) -> None:
    following = asyncio.create_task(
        room.type("search", "--space", "batch_size=many", "--snapshot", "snap", "--base", "scratch")
    )
    await room.requested()
    code, _, err = await following
    assert code == 1
    assert "space.batch_size lists 'many', and batch_size takes whole numbers" in err


async def test_how_it_stands_is_told_while_it_runs_and_a_cancelled_one_has_a_report(room: Room) -> None:
    data = await room.ask(*ASK, "--no-wait", "--parallel", "2")
    request = await room.requested()
    assert data == {"search_id": request.search_id, "snapshot_id": "snap"}
    first, second = (one.run_id for one in room.desk.asked)
    await room.hear(progressed(first, 1, 0.4), completed(first, 0.5), failed(second, "<b>it broke</b>"))
    code, out, _ = await room.type("searches")
    assert code == 0
    assert "4 of 20" in " ".join(out.split())
    code, _, err = await room.type("search-report", request.search_id)
    assert code == 1
    assert "has no report (yet)" in err

    from contracts.commands import CancelTraining

    order = CancelTraining(request_id="cancel-1", run_id=request.search_id, by="bob", requested_at=AT)
    room.desk.say(order, AT)
    for message in list(room.desk.told)[room.projected :]:
        await room.hear(message)
    for trial in room.desk.search(request.search_id).trials:
        await room.hear(cancelled(trial.run_id))
    await room.finish(request.search_id)
    (listed,) = (await room.ask("searches"))["searches"]
    assert (listed["state"], listed["cancelled_by"]) == ("cancelled", "bob")
    assert listed["best_validation_accuracy"] == 0.5


REFUSED = [
    (("search",), "give --space or --from-file"),
    (
        ("search", "--space", "dropuot=0.1"),
        "the space has 'dropuot', which is no option of training: is dropout",
    ),
    (("search", "--space", "dropout"), "cannot be read: write NAME=LOW:HIGH"),
    (("search", "--space", "dropout=a:b"), "cannot be read: write NAME=LOW:HIGH"),
    (("search", "--space", "dropout=0:1:2:3"), "has 4 numbers"),
    (("search", "--space", "dropout=0.1", "--space", "dropout=0.2"), "names dropout twice"),
    (("search", "--space", "dropout=0.5:0.1", "--snapshot", "snap"), "high must not be below low"),
    (("search", "--space", "dropout=0.1", "--snapshot", "snap", "--method", "luck"), "method = 'luck'"),
    (
        ("search", "--space", "dropout=0.1", "--snapshot", "snap", "--set", "epochs=none"),
        "options.epochs",
    ),
    (("search-report", "none-such"), "no search 'none-such' is known"),
]


async def test_what_cannot_be_asked_is_refused_in_one_sentence(room: Room) -> None:
    for arguments, says in REFUSED:
        code, out, err = await room.type(*arguments)
        assert (code, out) == (1, ""), arguments
        assert says in err
        assert err.count("\n") == 1


async def test_a_file_may_hold_the_space_or_the_whole_search(room: Room, tmp_path: Path) -> None:
    space = {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}, "flip": [True, False]}
    whole = {"space": space, "method": "random", "trials": 3, "options": {"epochs": 2}, "snapshot_id": "snap"}
    for number, document in enumerate((whole, space)):
        place = tmp_path / "space.json"
        place.write_text(json.dumps(document))
        await room.ask(
            "search", "--from-file", str(place), "--trials", "2", "--snapshot", "snap", "--no-wait",
            "--space", "batch_size=16,32", "--set", "rates.backbone=0.1",
        )  # fmt: skip
        request = (await said(room.js, RequestSearch))[number]
        assert (request.trials, set(request.space)) == (2, {"learning_rate", "flip", "batch_size"})
        assert request.options.rates.backbone == 0.1
        assert request.space["flip"] == (True, False)
    place.write_text('{"space": {"flip": [true]}, "colour": 1}')
    code, _, err = await room.type("search", "--from-file", str(place))
    assert (code, "has colour, which no search has" in err) == (1, True)
