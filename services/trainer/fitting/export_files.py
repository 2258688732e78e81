"""The files of an export in a folder: SavedModel, LiteRT, what the run and the evaluator left, a card."""

from __future__ import annotations

import json
from pathlib import Path

from services.networks import archive
from services.runtime.objectstore import ObjectStore
from services.trainer.domain.export_specs import MODEL_FILE, ExportSpec
from services.trainer.fitting.manifest import read_dataset
from services.trainer.fitting.model_card import Facts, model_card
from services.trainer.fitting.saved_model import write_saved_model
from services.trainer.fitting.variants import check_backend, to_litert


def write_files(store: ObjectStore, spec: ExportSpec, folder: Path) -> None:
    """Everything but the manifest; the model card last, for it lists the others.

    Raises:
        TrainingError: Keras runs on another backend, or LiteRT has no form of the network.
        ModelRefused: the model brings code, or is not what its event says.
    """
    check_backend()
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
        files=[path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()],
    )  # fmt: skip
    (folder / "README.md").write_text(model_card(facts), encoding="utf-8")
