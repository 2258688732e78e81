"""What the command line promises before any stack runs: quick help, clear errors, clean JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.ops import cli
from services.ops.clients import output
from services.ops.clients.status import shape
from services.ops.commands.state import status_tables

ROOT = Path(__file__).resolve().parents[3]

NEEDS_A_STACK = [
    ["status"],
    ["status", "--json"],
    ["watch"],
    ["label", "a" * 64, "lion"],
    ["label-undo", "some-change"],
    ["opinion", "a" * 64, "lion"],
    ["double-check", "a" * 64, "--done"],
    ["benchmark", "add", "difficult", "a" * 64],
    ["benchmark", "remove", "a" * 64],
    ["benchmark", "list"],
    ["images"],
    ["image", "a" * 64],
    ["snapshot"],
    ["snapshots"],
    ["classes"],
    ["taxonomy", "show"],
    ["taxonomy", "history"],
    ["taxonomy", "merge", "chimp", "bonobo", "--into", "ape"],
    ["taxonomy", "split", "ape"],
    ["taxonomy", "rename", "chimp", "pan"],
    ["taxonomy", "undo"],
    ["taxonomy", "apply", "--version", "0"],
    ["reconcile"],
    ["train", "--wait"],
    ["train", "--throw-away", "--option", "rates.backbone=0.1", "--option", "label_smoothing=0.1"],
    ["cancel", "01JD"],
    ["models"],
    ["evaluate", "001"],
    ["evaluate", "001", "--taxonomy-version", "0", "--dataset-of", "002"],
    ["compare", "001", "002", "--no-wait"],
    ["review-queue", "show", "--class", "okapi", "--with", "zebra"],
    ["review-queue", "send", "--limit", "5"],
    ["review-queue", "rounds"],
    ["review-queue", "round", "01JD", "--waiting"],
    ["review-queue", "verdict", "abcdef", "relabel", "okapi"],
    ["confused-pairs", "show"],
    ["confused-pairs", "set", "okapi", "zebra", "0.5"],
    ["confused-pairs", "remove", "okapi", "zebra"],
    ["confused-pairs", "history"],
    ["export", "001", "--reason", "because"],
    ["compress", "001", "--prune", "0.5", "--no-int8"],
    ["download-model", "001", "models"],
    ["verify-export", "001"],
    ["bulk-identify"],
    ["vectors"],
    ["vectors", "001", "--snapshot", "s-1"],
    ["dead-letters", "list"],
    ["dead-letters", "show", "abc"],
    ["dead-letters", "replay", "--all"],
    ["rebuild", "reporter"],
]


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    shown = capsys.readouterr()
    assert shown.out == ""
    return int(str(ended.value.code)), shown.err


@pytest.mark.parametrize("arguments", NEEDS_A_STACK, ids=" ".join)
def test_without_a_stack_a_command_says_how_to_start_one(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error = fails([*arguments, "--data-dir", str(tmp_path)], capsys)
    assert code == 1
    assert (
        error
        == f"menagerie: no stack runs in {tmp_path}: start it with `menagerie up --data-dir {tmp_path}`\n"
    )


def test_an_upload_without_a_stack_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    code, error = fails(["upload", str(tmp_path), "--data-dir", str(tmp_path / "data")], capsys)
    assert (code, error.count("menagerie up")) == (1, 1)


def test_an_upload_checks_the_labels_before_it_looks_for_a_stack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text("picture\na.jpg\n")
    code, error = fails(["upload", str(tmp_path), "--data-dir", str(tmp_path / "data")], capsys)
    assert code == 1
    assert "no column 'file'" in error


def test_a_label_for_something_that_is_no_image_id_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error = fails(["label", "../etc", "lion", "--data-dir", str(tmp_path)], capsys)
    assert code == 1
    assert "'../etc' is no image id" in error


def test_replay_wants_ids_or_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = fails(["dead-letters", "replay", "--data-dir", str(tmp_path)], capsys)
    assert code == 2
    assert "--all" in error


def test_a_demo_refuses_a_folder_that_holds_anything_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    code, error = fails(["demo", "--exit", "--data-dir", str(tmp_path)], capsys)
    assert code == 1
    assert "no demo made" in error
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_loads_neither_tensorflow_nor_what_only_a_running_command_needs() -> None:
    code = (
        "import sys\n"
        "from services.ops import cli\n"
        "try:\n"
        "    cli.main(['--help'])\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'PIL', 'nats', 'httpx', 'sqlalchemy', 'opentelemetry'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    shown = python(code)
    for name in ("up", "status", "upload", "image", "label-undo", "double-check", "benchmark", "snapshots",
                 "bulk-identify", "dead-letters", "rebuild", "demo"):  # fmt: skip
        assert name in shown


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("menagerie sn", "snapshot"),
        ("menagerie dead-letters re", "replay"),
        ("menagerie train --bas", "--base"),
    ],
)
def test_the_shell_completes_commands_and_options(typed: str, offered: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.ops.cli"],
        cwd=ROOT,
        env={
            **os.environ,
            "_MENAGERIE_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split()) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert offered in done.stdout.split()


def test_text_from_strangers_cannot_drive_the_terminal() -> None:
    assert output.plain("lion\x1b[2J\x07\u202e\r\ngone") == "lion" + "\ufffd[2J" + "\ufffd" * 3 + " gone"
    assert output.plain("Löwe \N{LION FACE}") == "Löwe \N{LION FACE}"


def test_markup_in_a_label_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.Output(False).end({}, output.table("T", ("label",), [("[red]lion[/red]",)]))
    assert "[red]lion[/red]" in capsys.readouterr().out


def test_with_json_only_the_result_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    shown = output.Output(True)
    shown.say("working")
    shown.end({"label": "Löwe\n"}, output.facts("ignored", {}))
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"label": "Löwe\n"}
    assert captured.out.count("\n") == 1
    assert "working" in captured.err


SUMMARY = {
    "images": {
        "uploaded": 3, "accepted": 1, "rejected": 1, "exact_duplicates": 1, "near_duplicates": 0, "bursts": 0,
        "pairs_in_review": 4, "labelled": 1, "unlabelled": 0, "in_progress": 0, "unique": 1,
    },
    "snapshots": [],
    "models": [{"version": "001", "state": "scored", "test_accuracy": 0.96, "gate": "no-go"}],
    "bulk": {"identified": 7, "runs": []},
    "dead_letters": 0,
}  # fmt: skip


def test_status_has_the_promised_fields() -> None:
    report = shape({"ingest": "ready"}, SUMMARY, {"ingest-uploads": 2})
    assert report == {
        "services": {"ingest": "ready"},
        "images": {
            "uploaded": 3,
            "accepted": 1,
            "rejected": 1,
            "exact_duplicates": 1,
            "near_duplicates": 0,
            "bursts": 0,
            "pairs_in_review": 4,
            "labelled": 1,
            "unlabelled": 0,
        },
        "snapshots": [],
        "models": [{"version": "001", "state": "scored", "test_accuracy": 0.96, "gate": "no-go"}],
        "training": None,
        "bulk": {"identified": 7, "runs": []},
        "dead_letters": 0,
        "backlog": {"ingest-uploads": 2},
    }


def test_status_shows_runs_that_train_and_that_wait(capsys: pytest.CaptureFixture[str]) -> None:
    epoch = {
        "epoch": 3, "epochs": 30, "val_accuracy": 0.875, "images_per_s": 120.0, "data_wait_share": 0.02,
        "eta_s": 60.0, "cost": 0.25,
    }  # fmt: skip
    runs = [
        {"run_id": "run-1", "network": "small_cnn", "epoch": epoch},
        {"run_id": "run-2", "network": "inception_v4", "epoch": None},
    ]
    report = shape({}, SUMMARY | {"training": runs}, None)
    output.Output(False).end({}, *status_tables(report))
    shown = capsys.readouterr().out
    for text in ("3 of 30", "87.5 %", "2.0 %", "0.25", "inception_v4", "waits"):
        assert text in shown


def test_status_shows_what_is_known_while_servers_are_away(capsys: pytest.CaptureFixture[str]) -> None:
    output.Output(False).end({}, *status_tables(shape({"ingest": "died"}, {}, None)))
    assert "died" in capsys.readouterr().out


def test_status_shows_models_and_the_backlog(capsys: pytest.CaptureFixture[str]) -> None:
    output.Output(False).end({}, *status_tables(shape({}, SUMMARY, {"ingest-uploads": 2, "dedup-images": 0})))
    shown = capsys.readouterr().out
    assert "96.0 %" in shown
    assert "ingest-uploads" in shown
    assert "dedup-images" not in shown
