"""What a training child keeps of its run, on a real object store: checkpoints and the log."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from contracts.manifests import Epoch
from services.runtime.objectstore import ObjectStore
from services.trainer.runs.checkpoints import RunCheckpoints, remove_checkpoints
from services.trainer.runs.curves import draw
from services.trainer.runs.folder import FolderBusy, alone_in
from services.trainer.runs.log import RunLog, join_log, join_log_left
from tests.support.servers import S3Server

pytestmark = pytest.mark.integration

NEVER_S, AT_ONCE_S = 3600.0, 0.0


@pytest.fixture
def objects(weed: S3Server) -> ObjectStore:
    return weed.store()


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> str:
    return hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]


def writing(data: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


def stored(objects: ObjectStore, run_id: str) -> list[str]:
    return sorted(objects.list("models", f"runs/{run_id}/checkpoint/"))


def objects_read(objects: ObjectStore, key: str) -> bytes:
    return b"".join(objects.stream("models", key))


def keys_of_log(objects: ObjectStore, run_id: str) -> list[str]:
    return list(objects.list("models", f"runs/{run_id}/log"))


def words(objects: ObjectStore, run_id: str) -> list[str]:
    """What the joined log says, without the times."""
    lines = objects_read(objects, f"runs/{run_id}/log.txt").decode().splitlines()
    return [line.partition("  ")[2] for line in lines]


def test_another_machine_goes_on_from_the_newest_checkpoint_in_the_store(
    objects: ObjectStore, run_id: str, tmp_path: Path
) -> None:
    kept: list[int] = []
    here = RunCheckpoints(objects, run_id, tmp_path / "here", AT_ONCE_S, kept.append)
    assert here.newest() is None
    for number in range(1, 4):
        here.save(writing(b"%d" % number))
        here.close()  # each is on its way before the next
    assert kept == [1, 2, 3]
    assert [path.name for path in (tmp_path / "here").glob("*.ckpt")] == ["00000003.ckpt"]
    pointer, one = sorted(stored(objects, run_id), key=len)
    assert (pointer.rpartition("/")[2], len(stored(objects, run_id))) == ("newest.json", 2)
    assert one.endswith(f"{hashlib.sha256(b'3').hexdigest()}.ckpt")

    there = RunCheckpoints(objects, run_id, tmp_path / "there", NEVER_S, kept.append)
    found = there.newest()
    assert found is not None
    assert found.read_bytes() == b"3"
    there.save(writing(b"four"))
    assert kept[-1] == 4
    again = RunCheckpoints(objects, run_id, tmp_path / "there", NEVER_S).newest()
    assert again is not None
    assert again.read_bytes() == b"four"  # the local one is newer than the store's

    remove_checkpoints(objects, run_id)
    assert stored(objects, run_id) == []


def test_a_checkpoint_that_the_store_lost_is_done_without(
    objects: ObjectStore, run_id: str, tmp_path: Path
) -> None:
    first = RunCheckpoints(objects, run_id, tmp_path / "here", AT_ONCE_S)
    first.save(writing(b"one"))
    first.close()
    objects.remove("models", max(stored(objects, run_id), key=len))
    assert RunCheckpoints(objects, run_id, tmp_path / "there", NEVER_S).newest() is None
    objects.put("models", f"runs/{run_id}/checkpoint/newest.json", b"{")
    assert RunCheckpoints(objects, run_id, tmp_path / "there", NEVER_S).newest() is None


def test_a_full_disk_costs_a_checkpoint_and_not_the_run(
    objects: ObjectStore, run_id: str, tmp_path: Path
) -> None:
    kept: list[int] = []
    checkpoints = RunCheckpoints(objects, run_id, tmp_path, NEVER_S, kept.append)

    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    checkpoints.save(full)
    checkpoints.save(writing(b"one"))
    assert kept == [1]


def test_a_file_system_without_links_costs_the_copy_in_the_store_and_not_the_run(
    objects: ObjectStore, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_self: Path, _target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    checkpoints = RunCheckpoints(objects, run_id, tmp_path, AT_ONCE_S)
    checkpoints.save(writing(b"one"))
    checkpoints.save(writing(b"two"))
    checkpoints.close()
    assert stored(objects, run_id) == []
    found = RunCheckpoints(objects, run_id, tmp_path, NEVER_S).newest()
    assert found is not None
    assert found.read_bytes() == b"two"


def test_the_log_of_all_lives_of_a_run_is_one_file_at_the_end(objects: ObjectStore, run_id: str) -> None:
    killed = RunLog(objects, run_id, NEVER_S)
    killed.say("the first life", "epoch 1")
    killed._send()
    last = RunLog(objects, run_id, NEVER_S)
    last.say("the second life\nand its second line")
    ref = last.finish()
    lines = objects.get(ref).decode().splitlines()
    assert [line.partition("  ")[2] for line in lines] == [
        "the first life", "epoch 1", "the second life", "and its second line",
    ]  # fmt: skip
    assert list(objects.list("models", f"runs/{run_id}/log/")) == []
    # Its trainer died before it told of the end: the run comes once more.
    again = RunLog(objects, run_id, NEVER_S)
    again.say("the third life")
    assert len(objects.get(again.finish()).decode().splitlines()) == 5


def test_the_parts_of_a_killed_child_are_joined_by_another(objects: ObjectStore, run_id: str) -> None:
    join_log_left(objects, run_id)
    assert keys_of_log(objects, run_id) == []  # a run that never began has no log
    killed = RunLog(objects, run_id, NEVER_S)
    for line in ("one", "two"):
        killed.say(line)
        killed._send()
    join_log_left(objects, run_id)
    assert keys_of_log(objects, run_id) == [f"runs/{run_id}/log.txt"]
    assert words(objects, run_id) == ["one", "two"]


@pytest.mark.parametrize("removed", [0, 1])
def test_a_join_of_the_log_that_was_killed_doubles_no_line(
    objects: ObjectStore, run_id: str, removed: int
) -> None:
    log = RunLog(objects, run_id, NEVER_S)
    parts = {}
    for line in ("one", "two", "three"):
        log.say(line)
        log._send()
        parts |= {key: objects_read(objects, key) for key in objects.list("models", f"runs/{run_id}/log/")}
    join_log(objects, run_id)
    for key in sorted(parts)[removed:]:  # as if it had been killed before it removed these
        objects.put("models", key, parts[key])
    again = RunLog(objects, run_id, NEVER_S)
    again.say("four")
    again.finish()
    assert words(objects, run_id) == ["one", "two", "three", "four"]


def test_a_log_that_is_closed_before_its_end_keeps_its_last_lines(objects: ObjectStore, run_id: str) -> None:
    log = RunLog(objects, run_id, NEVER_S)
    log.say("why the run goes on later")
    log.close()
    join_log_left(objects, run_id)
    assert words(objects, run_id) == ["why the run goes on later"]
    ended = RunLog(objects, run_id, NEVER_S)
    whole = ended.finish()
    ended.say("too late")
    ended.close()
    assert keys_of_log(objects, run_id) == [whole.key]  # told by its digest: it stays as it is


def test_one_process_at_a_time_works_in_the_folder_of_a_run(tmp_path: Path) -> None:
    with alone_in(tmp_path, 0.0):
        with pytest.raises(FolderBusy, match="another process has worked in"), alone_in(tmp_path, 0.0):
            pass
        waiting = threading.Event()

        def wait() -> None:
            with alone_in(tmp_path, 30.0):
                waiting.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not waiting.is_set()
    thread.join(30)
    assert waiting.is_set()


@pytest.mark.parametrize("count", [1, 80])
def test_curves_are_a_picture_with_or_without_validation(count: int) -> None:
    epochs = [
        Epoch(
            epoch=number, loss=1 / number, accuracy=1 - 1 / (number + 1), seconds=1.0, learning_rate=1e-3,
            val_accuracy=0.5 if count > 1 else None, val_loss=1.0 if count > 1 else None,
        )
        for number in range(1, count + 1)
    ]  # fmt: skip
    with Image.open(io.BytesIO(draw(epochs, 1, "small_cnn"))) as picture:
        assert picture.size == (1200, 400)
