"""Checking a fetched export needs no stack, and a compression is shown beside the whole model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from rich.console import Console

from contracts.manifests import ExportedFile, ExportManifest
from services.ops import cli
from services.ops.clients.errors import OpsError
from services.ops.clients.requests import request_export
from services.ops.commands.compress import variant_tables
from services.ops.stack.credentials import ensure_credentials
from services.ops.stack.layout import Layout
from services.runtime.signing import public_key_of, sign

KEY = "11" * 32


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A fetched export of two files."""
    folder = tmp_path / "models" / "007"
    contents = {"007/saved_model.pb": b"graph", "labels.json": b"{}"}
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    files = tuple(
        ExportedFile(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for path, content in contents.items()
    )
    manifest = ExportManifest(model_version="007", classes=("a", "b"), image_size_px=28, files=files)
    body = manifest.model_dump_json().encode()
    (folder / "export.json").write_bytes(body)
    (folder / "export.sig").write_text(sign(body, KEY).model_dump_json())
    return folder


def verify(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What is printed, or the sentence it fails with."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify-export", *map(str, arguments)])
    shown = capsys.readouterr()
    return shown.out if ended.value.code == 0 else shown.err


def test_a_fetched_export_is_checked_against_a_known_key_or_by_digests_alone(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checked = json.loads(verify(capsys, export, "--public-key", public_key_of(KEY), "--json"))
    assert checked == {
        "model_version": "007", "files": 2, "size_bytes": 7, "public_key": public_key_of(KEY),
    }  # fmt: skip
    (export / "labels.json").write_bytes(b"[]")
    assert "is not what the manifest says: do not serve this export" in verify(capsys, export, "--unsigned")
    (export / "labels.json").unlink()
    assert "is missing" in verify(capsys, export, "--unsigned")
    assert "has no export.json" in verify(capsys, tmp_path, "--unsigned")


def test_the_key_of_this_machines_stack_is_the_default(
    export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data_dir = tmp_path / "data"
    assert "has no key to check against" in verify(capsys, export, "--data-dir", data_dir)
    data_dir.mkdir()
    key = ensure_credentials(Layout(data_dir)).export_signing_key
    assert "is not to be trusted" in verify(capsys, export, "--data-dir", data_dir)
    body = (export / "export.json").read_bytes()
    (export / "export.sig").write_text(sign(body, key).model_dump_json())
    assert public_key_of(key) in verify(capsys, export, "--data-dir", data_dir)
    (export / "export.sig").unlink()
    assert "the export is not signed" in verify(capsys, export, "--data-dir", data_dir)


@pytest.mark.parametrize("path", ["", ".", "../labels.json", "/labels.json", "a\\\\b"])
def test_a_manifest_that_names_no_file_below_its_folder_is_refused(
    export: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = export / "export.json"
    manifest.write_text(manifest.read_text().replace('"labels.json"', f'"{path}"'))
    assert "outside its folder" in verify(capsys, export, "--unsigned")


def test_a_link_in_an_export_is_refused(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (export / "labels.json").rename(export.parent / "elsewhere.json")
    (export / "labels.json").symlink_to(export.parent / "elsewhere.json")
    assert "no plain file" in verify(capsys, export, "--unsigned")


def test_variants_are_shown_with_what_they_save_and_cost() -> None:
    row = {
        "request_id": "r", "variant_name": "int8", "size_bytes": 160_000, "size_ratio": 0.28, "accuracy": 0.95,
        "accuracy_delta": -0.0125, "agreement": 0.98, "images_per_s": 700.0, "speed_ratio": 1.9, "note": None,
        "measured_images": 60, "measured_on": "validation", "whole_accuracy": 0.9625,
        "file_key": "007/variants/int8/abc.tflite",
    }  # fmt: skip
    console = Console(width=160, record=True, file=None, quiet=False)
    with console.capture() as shown:
        for one in variant_tables({"model_version": "007", "variants": [row]}):
            console.print(one)
    text = shown.get()
    assert "60 validation images" in text
    assert "the model has no test image" in text
    assert "28.0 %" in text
    assert "-1.2 %" in text
    assert "1.90 x" in text
    assert "models/007/variants/int8/abc.tflite" in text


@pytest.mark.parametrize("reason", ["", " \n\t"])
def test_a_gate_is_not_overruled_without_a_reason(reason: str) -> None:
    with pytest.raises(OpsError, match=r"reason = '' cannot be used"):
        request_export("007", "ann", reason)
    assert request_export("007", "ann", " a fair \n").reason == "a fair"
