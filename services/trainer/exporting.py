"""The exporting child: ``python -m services.trainer.exporting``. TensorFlow Serving's layout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.manifests import Buckets, ExportedFile, ExportManifest
from services.runtime.child import ChildFailed, child_main
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectStore
from services.trainer.domain.specs import ExportResult, ExportSpec, Outcome
from services.trainer.fitting import archive
from services.trainer.fitting.faults import STORE_FAULTS
from services.trainer.fitting.saved_model import write_saved_model
from services.trainer.settings import TrainerSettings

MODEL_FILE = "model.keras"


def work(spec: dict[str, Any], _tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Export the model of ``spec``; the outcome as JSON."""
    try:
        result = export(ObjectStore(TrainerSettings()), ExportSpec.model_validate(spec))
        outcome = Outcome(export=result)
    except ModelRefused as error:
        raise ChildFailed(str(error), "train the model again") from error
    except STORE_FAULTS as error:
        outcome = Outcome(fault=f"{type(error).__name__}: {error}")
    return outcome.model_dump(mode="json")


def export(store: ObjectStore, spec: ExportSpec) -> ExportResult:
    """Lay the files out on disk, store them, and the manifest that makes them an export last."""
    folder = Path(spec.scratch) / spec.version
    folder.mkdir(parents=True)
    model = archive.load(store, spec.model, Path(spec.scratch))
    write_saved_model(model, spec.classes, spec.image_size_px, folder / spec.version)
    labels = {str(index): name for index, name in enumerate(spec.classes)}
    (folder / "labels.json").write_text(json.dumps(labels, indent=1, ensure_ascii=False), encoding="utf-8")
    store.get_file(spec.model, folder / MODEL_FILE)
    store.get_file(spec.dataset, folder / "dataset.parquet")
    if spec.report is not None:
        store.get_file(spec.report, folder / f"evaluation{Path(spec.report.key).suffix}")
    files = [_describe(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    refs = {
        file.path: store.put_file(Buckets.MODELS, f"{spec.version}/{file.path}", folder / file.path)
        for file in files
    }
    manifest = ExportManifest(
        model_version=spec.version, classes=spec.classes, image_size_px=spec.image_size_px, files=tuple(files)
    )
    body = manifest.model_dump_json(indent=1).encode()
    place = f"{spec.version}/export.json"
    return ExportResult(
        manifest=store.put(Buckets.MODELS, place, body, "application/json"), model=refs[MODEL_FILE]
    )


def _describe(path: Path, folder: Path) -> ExportedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ExportedFile(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=digest)


if __name__ == "__main__":
    child_main(work)
