"""Checkpoint files: what was written comes back, and nothing else is taken for it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.manifests import Epoch
from services.trainer.fitting.checkpoint import (
    Checkpoint,
    CheckpointDamaged,
    Spent,
    read_checkpoint,
    write_checkpoint,
)
from services.trainer.fitting.snapshots import Saving, fingerprint
from tests.support.local_checkpoints import LocalCheckpoints
from tests.support.tiny_training import PLAIN, asked, colours, tiny

EPOCH = Epoch(epoch=1, loss=0.1 + 0.2, accuracy=1 / 3, val_loss=1e-300, val_accuracy=None, seconds=2.5)
STATE = Checkpoint(
    fingerprint="f" * 64,
    epoch=2,
    step=7,
    spent=Spent(1.5, 0.25),
    curve=(EPOCH,),
    variables=(np.arange(6, dtype=np.float32).reshape(2, 3), np.array([7, 9], np.uint32), np.empty((0, 4))),
    optimizer=(np.array(12, np.int64), np.array(1e-3, np.float32)),
    metrics=(np.float32(3.5),),
    kept=(np.full((2, 3), np.pi, np.float32)[:, ::-1],),
)


def written(folder: Path, state: Checkpoint = STATE) -> Path:
    checkpoints = LocalCheckpoints(folder)
    Saving(checkpoints, 0.0, "").save(state)
    return checkpoints.path


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    path = written(tmp_path)
    found = read_checkpoint(path)
    for name in ("fingerprint", "epoch", "step", "spent", "curve"):
        assert getattr(found, name) == getattr(STATE, name)
    for name in ("variables", "optimizer", "metrics", "kept"):
        for one, two in zip(getattr(found, name), getattr(STATE, name), strict=True):
            assert (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes())
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_checkpoint_cut_or_changed_anywhere_is_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("damaged"))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    for damaged in (whole[:place], bytes(changed), b"PK\x03\x04" + whole, whole + b"x"):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointDamaged):
            read_checkpoint(path)


def test_damaged_and_foreign_checkpoints_are_told_and_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path)
    mine = Saving(LocalCheckpoints(tmp_path), 60.0, STATE.fingerprint)
    assert mine.newest() is not None
    assert Saving(LocalCheckpoints(tmp_path), 60.0, "0" * 64).newest() is None
    assert "is of other options, data or software, the run starts anew" in caplog.text
    path.write_bytes(path.read_bytes()[:-1])
    assert mine.newest() is None
    assert "newest.ckpt holds other bytes than were written" in caplog.text
    assert path.exists()
    assert Saving(LocalCheckpoints(tmp_path / "empty"), 60.0, "").newest() is None


def test_a_crash_while_writing_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)

    def crash(handle: int) -> None:
        raise SystemExit

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(SystemExit):
        write_checkpoint(replace(STATE, step=8), path)
    assert read_checkpoint(path).step == 7
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_processes_left_unfinished_does_not_fill_the_disk(tmp_path: Path) -> None:
    path = written(tmp_path)
    for number in range(3):
        (tmp_path / f"{number:06d}.ckpt.{number}.part").write_bytes(b"half of it")
    write_checkpoint(replace(STATE, step=8), path)
    assert read_checkpoint(path).step == 8
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(caplog: pytest.LogCaptureFixture) -> None:
    class Full:
        def newest(self) -> Path | None:
            return None

        def save(self, write: Callable[[Path], None]) -> None:
            assert write
            raise OSError(errno.ENOSPC, "No space left on device")

    Saving(Full(), 0.0, "").save(STATE)
    assert "no checkpoint after step 7 of epoch 2: [Errno 28] No space left" in caplog.text


def test_runs_that_differ_have_other_fingerprints() -> None:
    model, train, validation = tiny(), colours(12), colours(6)
    first = fingerprint(model, train, validation, PLAIN)
    assert first == fingerprint(tiny(), colours(12, seed=5), validation, asked())
    others = {
        fingerprint(model, train, validation, asked(learning_rate=0.5)),
        fingerprint(model, colours(13), validation, PLAIN),
        fingerprint(model, train, colours(7), PLAIN),
        fingerprint(tiny(dropout=0.0), train, validation, PLAIN),
    }
    assert len(others | {first}) == 5
