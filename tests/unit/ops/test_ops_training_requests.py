"""``menagerie train``: what a file, ``--option`` and the command's own options make of a request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.ops.clients.cancelling import refuse_ended
from services.ops.clients.errors import OpsError
from services.ops.clients.requests import request_training
from services.ops.clients.training_request import merged, read_options, read_request
from services.ops.commands.training_progress import figures


def test_any_option_is_set_by_its_name() -> None:
    fields = read_options([
        "label_smoothing=0.1", "flip=false", "epochs=12", "optimizer=adamw", "dropout=none",
        "rates.backbone=0.2", "rates.layers.block7.conv=0.5",
    ])  # fmt: skip
    request = request_training("s-1", "ann", options=fields)
    options = request.options
    assert (options.label_smoothing, options.flip, options.epochs) == (0.1, False, 12)
    assert (options.optimizer, options.dropout, options.rates.backbone) == ("adamw", None, 0.2)
    assert options.rates.layers == {"block7.conv": 0.5}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("learning_rat=0.1", "--option has 'learning_rat', which is no option of training: is learning_rate"),
        ("rates.backbon=0.1", "is rates.backbone"),
        ("colour=red", "there are network, weights, epochs"),
        ("epochs", "write NAME=VALUE"),
        ("epochs=", "write NAME=VALUE"),
    ],
)
def test_an_option_that_is_none_is_refused_with_the_nearest(text: str, told: str) -> None:
    with pytest.raises(OpsError, match=told):
        read_options([text])


def test_a_value_that_cannot_be_is_refused_by_its_place() -> None:
    with pytest.raises(
        OpsError, match=r"options\.learning_rate = 7 cannot be used .*less than or equal to 1"
    ):
        request_training("s-1", "ann", options=read_options(["learning_rate=7"]))


def test_a_file_is_a_request_or_its_options(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"network": "inception_v4", "rates": {"backbone": 0.1}}))
    assert read_request(path) == {"options": {"network": "inception_v4", "rates": {"backbone": 0.1}}}
    sent = request_training("s-1", "ann", options={"epochs": 3}, base="scratch")
    path.write_text(sent.model_dump_json())
    again = request_training(**{"by": "bob"} | read_request(path))
    assert again.run_id != sent.run_id
    assert (again.options, again.base, again.snapshot_id) == (sent.options, "scratch", "s-1")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "holds no JSON object"),
        ("{", "cannot be read as JSON"),
        ('{"base": "scratch", "optoins": {}}', "has 'optoins', which no request has: is options meant"),
        ('{"options": {"epoch": 3}}', "has 'epoch', which is no option of training: is epochs or"),
    ],
)
def test_a_file_that_is_no_request_says_what_is_wrong(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(text)
    with pytest.raises(OpsError, match=told):
        read_request(path)


def test_later_parts_win_field_by_field() -> None:
    file = {"base": "scratch", "options": {"epochs": 3, "rates": {"backbone": 0.1, "head_epochs": 2}}}
    own = {"options": {"rates": {"backbone": 0.5}}, "rules": {"minimum_per_class": 35}}
    assert merged(file, own) == {
        "base": "scratch",
        "options": {"epochs": 3, "rates": {"backbone": 0.5, "head_epochs": 2}},
        "rules": {"minimum_per_class": 35},
    }


def test_what_has_ended_is_not_cancelled_and_how_it_ended_is_said() -> None:
    outcome = {"model_version": "007"}
    with pytest.raises(OpsError, match=r"run r-1 has ended \(trained\), it made model 007: there is nothing"):
        refuse_ended("r-1", {"kind": "runs", "state": "trained", "outcome": outcome})
    with pytest.raises(OpsError, match=r"search s-1 has ended \(completed\)"):
        refuse_ended("s-1", {"kind": "searches", "state": "completed"})
    with pytest.raises(OpsError, match="search s-1 is being cancelled already"):
        refuse_ended("s-1", {"kind": "searches", "state": "stopping"})
    refuse_ended("r-1", {"kind": "runs", "state": "running", "outcome": None})


def test_an_epoch_shows_its_figures() -> None:
    epoch = {
        "epoch": 3, "epochs": 30, "loss": 0.25, "accuracy": 0.9, "val_accuracy": 0.875, "images_per_s": 120.0,
        "data_wait_share": 0.02, "gpu_share": None, "eta_s": 60.0, "cost": 0.25, "cost_estimate": 2.5,
    }  # fmt: skip
    assert figures(epoch) == (
        "loss 0.25  accuracy 90.0 %  validation 87.5 %  120 images/s  waits 2.0 %  60 s left  cost 0.25 of 2.50"
    )
