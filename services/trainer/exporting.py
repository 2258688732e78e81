"""The exporting child: ``python -m services.trainer.exporting``. TensorFlow Serving's layout."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.manifests import Buckets, ExportedFile, ExportManifest, ExportSignature
from contracts.values import ObjectRef
from services.runtime import signing
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectDamaged, ObjectMissing, ObjectStore
from services.runtime.orders import Orders
from services.runtime.shards import ManifestDamaged
from services.trainer.domain.errors import TrainingError
from services.trainer.domain.export_specs import MODEL_FILE, ExportResult, ExportSpec
from services.trainer.domain.specs import Outcome
from services.trainer.fitting.faults import STORE_FAULTS
from services.trainer.settings import TrainerSettings

MANIFEST, SIGNATURE = "export.json", "export.sig"
VARIANTS = "variants/"
"""Beside the export, with a life of their own (compressing.py)."""


def work(spec: dict[str, Any], _tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Export the model of ``spec``; the outcome as JSON."""
    Orders()  # it ends this process when nobody says any more that it may go on
    settings = TrainerSettings()
    asked = ExportSpec.model_validate(spec)
    try:
        result = export(ObjectStore(settings), asked, settings.export_signing_key.get_secret_value())
        outcome = Outcome(export=result)
    except (TrainingError, signing.SignatureRefused) as error:
        raise ChildFailed(str(error), f"then `menagerie export {asked.trained.model_version}`") from error
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
    # Looked at before anything is touched: a key that is none takes no export out of sight.
    public_key = signing.public_key_of(signing_key) if signing_key else None
    standing = standing_export(store, spec, public_key)
    if standing is not None:
        return standing
    # It loads TensorFlow for seconds; what stands is told without.
    from services.trainer.fitting import export_files  # noqa: PLC0415

    folder = Path(spec.scratch) / spec.trained.model_version
    export_files.write_files(store, spec, folder)
    return _publish(store, spec, folder, signing_key)


def standing_export(store: ObjectStore, spec: ExportSpec, public_key: str | None) -> ExportResult | None:
    """The export that is visible, if it is this model's, whole, and signed by that key; None otherwise."""
    version = spec.trained.model_version
    try:
        body = _whole(store, f"{version}/{MANIFEST}")
        manifest = ExportManifest.model_validate_json(body)
        if public_key is not None:
            signature = ExportSignature.model_validate_json(_whole(store, f"{version}/{SIGNATURE}"))
            signing.check(body, signature, public_key)
        refs = {file.path: _ref(version, file) for file in manifest.files}
        model = refs.get(MODEL_FILE)
        ours = model is not None and model.sha256 == spec.trained.model.sha256
        if model is None or not ours or manifest.model_version != version:
            return None
        for ref in refs.values():
            store.check(ref)
    except (ObjectMissing, ObjectDamaged, ValidationError, signing.SignatureRefused):
        return None
    digest = hashlib.sha256(body).hexdigest()
    place = f"{version}/{MANIFEST}"
    return ExportResult(
        manifest=ObjectRef(bucket=Buckets.MODELS, key=place, size=len(body), sha256=digest), model=model
    )


def _publish(store: ObjectStore, spec: ExportSpec, folder: Path, signing_key: str) -> ExportResult:
    version = spec.trained.model_version
    graph = f"{version}/saved_model.pb"
    # What another export left goes out of sight before the first of its files changes. A server that
    # watches the bucket itself cannot load a SavedModel without its graph, which comes last.
    for path in (MANIFEST, graph):
        store.remove(Buckets.MODELS, f"{version}/{path}")
    found = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    paths = sorted(found, key=lambda path: (path == graph, path))
    refs = {path: store.put_file(Buckets.MODELS, f"{version}/{path}", folder / path) for path in paths}
    manifest = ExportManifest(
        model_version=version, classes=spec.trained.classes, image_size_px=spec.trained.image_size_px,
        files=tuple(_described(ref, path) for path, ref in refs.items()),
        network=spec.trained.network, snapshot_id=spec.trained.snapshot_id,
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


def _described(ref: ObjectRef, path: str) -> ExportedFile:
    return ExportedFile(path=path, size=ref.size, sha256=ref.sha256)


def _ref(version: str, file: ExportedFile) -> ObjectRef:
    return ObjectRef(bucket=Buckets.MODELS, key=f"{version}/{file.path}", size=file.size, sha256=file.sha256)


def _whole(store: ObjectStore, key: str) -> bytes:
    return b"".join(store.stream(Buckets.MODELS, key))


if __name__ == "__main__":
    child_main(work)
