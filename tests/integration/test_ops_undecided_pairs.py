"""What a person who trains is told of pairs that wait, from the real read model and a real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.ops import cli
from services.ops.clients.undecided import remark
from services.ops.commands import session
from services.ops.stack.record import Connection
from services.reporter.domain.projection import project_all
from services.reporter.store.writing import write
from services.runtime.database import Database
from tests.support.browser import serving
from tests.support.reporter_house import TOKEN, application, migrated, page_settings
from tests.support.reporter_story import Story, stored
from tests.support.servers import Broker

pytestmark = pytest.mark.integration

Tell = Callable[[Story], None]
REMARK = (
    "1 look-alike pair waits for review: until then one of a pair may be trained on and the other tested on; "
    "`menagerie dedup pairs` shows them\n"
)


@pytest.fixture
def tell(
    provisioned_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Story], None]]:
    """Writes a story into the read model of the stack that commands find."""
    database: Database = migrated(f"sqlite:///{tmp_path}/reporter.sqlite")

    def told(story: Story) -> None:
        with database.engine.begin() as connection:
            write(connection, project_all(stored(story.messages)))

    with serving(application(database, page_settings("sqlite://"))) as address:
        urls = {"reporter": address, "nats": provisioned_broker.url}
        stack = Connection(urls, provisioned_broker.passwords["ops"], TOKEN, "ready", {})
        monkeypatch.setattr(session, "find_stack", lambda data_dir: stack)
        yield told
    database.close()


@pytest.mark.parametrize("command", [["train"], ["snapshot", "--no-wait"]])
def test_whoever_trains_or_packs_is_told_of_pairs_that_wait(
    command: list[str], tell: Tell, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(images=2)
    story.snapshot("snapshot-1")
    tell(story)
    with pytest.raises(SystemExit):
        cli.main([*command, "--json"])
    assert capsys.readouterr().err == ""
    story.look_alikes()
    tell(story)
    with pytest.raises(SystemExit):
        cli.main([*command, "--json"])
    told = capsys.readouterr()
    assert told.err == REMARK
    assert told.out.count("\n") == 1


def test_the_remark_counts_and_is_silent_about_nothing() -> None:
    assert remark(0) is None
    assert str(remark(12_345)).startswith("12,345 look-alike pairs wait for review")
