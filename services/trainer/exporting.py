"""The exporting child: ``python -m services.trainer.exporting``. TensorFlow Serving's layout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.manifests import Buckets, ExportedFile, ExportManifest, ExportSignature
from contracts.values import ObjectRef
from services.networks import archive
from services.runtime import signing
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from services.runtime.shards import ManifestDamaged
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.export_specs import ExportResult, ExportSpec
from services.trainer.domain.specs import Outcome
from services.trainer.fitting.faults import STORE_FAULTS
from services.trainer.fitting.manifest import read_dataset
from services.trainer.fitting.model_card import Facts, model_card
from services.trainer.fitting.saved_model import write_saved_model
from services.trainer.fitting.variants import check_backend, to_litert
from services.trainer.settings import TrainerSettings

MODEL_FILE = "model.keras"
MANIFEST, SIGNATURE = "export.json", "export.sig"
VARIANTS = "variants/"
"""Beside the export, with a life of their own (compressing.py)."""


def work(spec: dict[str, Any], _tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Export the model of ``spec``; the outcome as JSON."""
    settings = TrainerSettings()
    asked = ExportSpec.model_validate(spec)
    try:
        result = export(ObjectStore(settings), asked, settings.export_signing_key.get_secret_value())
        outcome = Outcome(export=result)
    except (TrainingError, signing.SignatureRefused) as error:
        raise ChildFailed(str(error), "then order the export again: `menagerie export`") from error
    except (ModelRefused, ManifestDamaged) as error:
        raise ChildFailed(str(error), "train the model again") from error
    except STORE_FAULTS as error:
        outcome = Outcome(fault=f"{type(error).__name__}: {error}")
    return outcome.model_dump(mode="json")


def export(store: ObjectStore, spec: ExportSpec, signing_key: str = "") -> ExportResult:
    """Lay the files out on disk, store them, and the manifest that makes them an export last.

    An export of this model that stands already, complete and signed by this key, is kept as it is.

    Raises:
        TrainingError, SignatureRefused: the setting that is wrong is named.
        ModelRefused: the model brings code, or is not what its event says.
    """
    check_backend()
    standing = standing_export(store, spec, signing_key)
    if standing is not None:
        return standing
    folder = Path(spec.scratch) / spec.trained.model_version
    write_files(store, spec, folder)
    # Making the files took a while, in which another trainer may have done the same.
    return standing_export(store, spec, signing_key) or _publish(store, spec, folder, signing_key)


def standing_export(store: ObjectStore, spec: ExportSpec, signing_key: str) -> ExportResult | None:
    """The export that is visible, if it is this model's and whole; None otherwise."""
    version = spec.trained.model_version
    try:
        body = _whole(store, f"{version}/{MANIFEST}")
        manifest = ExportManifest.model_validate_json(body)
        if signing_key:
            signature = ExportSignature.model_validate_json(_whole(store, f"{version}/{SIGNATURE}"))
            signing.check(body, signature, signing.public_key_of(signing_key))
        refs = {file.path: _ref(version, file) for file in manifest.files}
        model = refs.get(MODEL_FILE)
        if model is None or model.sha256 != spec.trained.model.sha256:
            return None
        for ref in refs.values():
            _check(store, ref)
    except (ObjectMissing, ObjectDamaged, ValidationError, signing.SignatureRefused):
        return None
    digest = hashlib.sha256(body).hexdigest()
    place = f"{version}/{MANIFEST}"
    return ExportResult(
        manifest=ObjectRef(bucket=Buckets.MODELS, key=place, size=len(body), sha256=digest), model=model
    )


def write_files(store: ObjectStore, spec: ExportSpec, folder: Path) -> None:
    """Everything but the manifest; the model card last, for it lists the others."""
    trained = spec.trained
    folder.mkdir(parents=True)
    path = folder / MODEL_FILE
    store.get_file(trained.model, path)
    model = archive.load(path, image_size_px=trained.image_size_px, classes=len(trained.classes))
    write_saved_model(model, trained.classes, trained.image_size_px, folder / trained.model_version)
    (folder / "model.tflite").write_bytes(to_litert(model, "litert"))
    labels = {str(index): name for index, name in enumerate(trained.classes)}
    (folder / "labels.json").write_text(json.dumps(labels, indent=1, ensure_ascii=False), encoding="utf-8")
    carried = {
        "dataset.parquet": trained.dataset, "dataset.json": trained.summary, "history.json": trained.history,
        "curves.png": trained.curves, "log.txt": trained.log, "evaluation.json": spec.report,
    }  # fmt: skip
    for name, ref in carried.items():
        if ref is not None:
            store.get_file(ref, folder / name)
    report = folder / "evaluation.json"
    facts = Facts(
        trained=trained, origin=spec.origin, options=spec.options,
        rows=read_dataset((folder / "dataset.parquet").read_bytes()),
        report=json.loads(report.read_bytes()) if report.exists() else None,
        files=[file.path for file in _described(folder)],
    )  # fmt: skip
    (folder / "README.md").write_text(model_card(facts), encoding="utf-8")


def _publish(store: ObjectStore, spec: ExportSpec, folder: Path, signing_key: str) -> ExportResult:
    version = spec.trained.model_version
    # What another export left goes out of sight before the first of its files changes.
    store.remove(Buckets.MODELS, f"{version}/{MANIFEST}")
    # A server that watches the folder cannot load a SavedModel without this file.
    files = sorted(_described(folder), key=lambda file: (file.path.endswith("saved_model.pb"), file.path))
    refs = {
        file.path: store.put_file(Buckets.MODELS, f"{version}/{file.path}", folder / file.path)
        for file in files
    }
    manifest = ExportManifest(
        model_version=version, classes=spec.trained.classes, image_size_px=spec.trained.image_size_px,
        files=tuple(files), network=spec.trained.network, snapshot_id=spec.trained.snapshot_id,
    )  # fmt: skip
    body = manifest.model_dump_json(indent=1).encode()
    kept = {f"{version}/{path}" for path in refs}
    if signing_key:
        signed = signing.sign(body, signing_key).model_dump_json().encode()
        kept.add(store.put(Buckets.MODELS, f"{version}/{SIGNATURE}", signed, "application/json").key)
    for key in list(store.list(Buckets.MODELS, f"{version}/")):
        if key not in kept and not key.startswith(f"{version}/{VARIANTS}"):
            store.remove(Buckets.MODELS, key)
    return ExportResult(
        manifest=store.put(Buckets.MODELS, f"{version}/{MANIFEST}", body, "application/json"),
        model=refs[MODEL_FILE],
    )


def _described(folder: Path) -> list[ExportedFile]:
    return [_describe(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()]


def _describe(path: Path, folder: Path) -> ExportedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ExportedFile(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=digest)


def _ref(version: str, file: ExportedFile) -> ObjectRef:
    return ObjectRef(bucket=Buckets.MODELS, key=f"{version}/{file.path}", size=file.size, sha256=file.sha256)


def _whole(store: ObjectStore, key: str) -> bytes:
    return b"".join(store.stream(Buckets.MODELS, key))


def _check(store: ObjectStore, ref: ObjectRef) -> None:
    digest, size = hashlib.sha256(), 0
    for chunk in store.stream(ref.bucket, ref.key):
        digest.update(chunk)
        size += len(chunk)
    if (size, digest.hexdigest()) != (ref.size, ref.sha256):
        raise ObjectDamaged(f"{ref.bucket}/{ref.key} is not what the export's manifest says")


if __name__ == "__main__":
    child_main(work)
