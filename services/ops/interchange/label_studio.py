"""Label Studio: ``tasks.json``, a list of tasks whose pictures lie beside it.

A label is a choice of the control ``label``; what the newest model said is a prediction. Everything
else lies in ``data``, where Label Studio shows and keeps it. Pictures are read from disk only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from services.ops.clients.errors import OpsError
from services.ops.interchange.pictures import row_of
from services.ops.interchange.records import BadRow, Record, Row, cells_of, json_text, shown

FILE = "tasks.json"
LOCAL_FILES = "/data/local-files/"
"""Label Studio's address of a file below LOCAL_FILES_DOCUMENT_ROOT."""
MAX_BYTES = 2**30
"""A million tasks; a list is one JSON document and has to be read as a whole."""


def read(path: Path, title: str) -> Iterator[Row]:
    """The tasks, in order.

    Raises:
        OpsError: it cannot be read or is no list of tasks.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise OpsError(f"{path} has more than {MAX_BYTES} bytes: export the project in parts")
        tasks = json.loads(path.read_bytes())
    except OSError as error:
        raise OpsError(f"{path} cannot be read ({error.strerror}): check the path") from error
    except (ValueError, RecursionError) as error:
        raise OpsError(f"{path} is not JSON ({error}): export the project as JSON") from error
    if not isinstance(tasks, list):
        raise OpsError(f"{path} is not a list of tasks: export the project as JSON")
    for number, task in enumerate(tasks, start=1):
        where = f"{title} task {number}"
        try:
            cells = _cells(task)
        except BadRow as problem:
            yield Row(where, problem=str(problem))
        else:
            yield row_of(where, path.parent, cells, _predictions(task))


def _cells(task: Any) -> dict[str, Any]:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise BadRow("has no 'data': export the project as JSON, not as JSON-MIN")
    data = task["data"]
    label = _label(task)
    # The kind was told of the label of then; an annotator may have chosen another one since.
    kind = data.get("label_kind") if data.get("label") == label else None
    return {**data, "file": _file(data.get("image")), "label": label, "label_kind": kind}


def _file(image: object) -> str:
    """The picture's path below the tasks' folder; nothing is ever fetched."""
    if not isinstance(image, str) or not image:
        raise BadRow("names no picture in data.image: fill it in")
    address = urlsplit(image)
    if address.scheme or address.netloc:
        raise BadRow(
            f"data.image {shown(image)} is an address, and nothing is fetched from addresses: "
            "put the picture beside the tasks and name its path"
        )
    if address.path == LOCAL_FILES:
        return parse_qs(address.query).get("d", [""])[0]
    return image


def _label(task: dict[str, Any]) -> str | None:
    """The one label on which all finished annotations agree."""
    annotations = task.get("annotations") or []
    if not isinstance(annotations, list):
        raise BadRow("annotations are not a list: export the project as JSON")
    found = {
        choice
        for annotation in annotations
        if isinstance(annotation, dict) and not annotation.get("was_cancelled")
        for choice in _choices(annotation.get("result"))
    }
    if len(found) > 1:
        names = " and ".join(shown(name) for name in sorted(found)[:3])
        raise BadRow(f"has the labels {names}: settle on one in Label Studio")
    return found.pop() if found else None


def _choices(result: object) -> Iterator[str]:
    for part in result if isinstance(result, list) else ():
        value = part.get("value") if isinstance(part, dict) else None
        choices = value.get("choices") if isinstance(value, dict) else None
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, str):
                raise BadRow(f"choice {shown(choice)} is not a text: correct it")
            yield choice


def _predictions(task: dict[str, Any]) -> int:
    predictions = task.get("predictions")
    return len(predictions) if isinstance(predictions, list) else 0


def write(folder: Path, records: Sequence[Record]) -> None:
    """Write ``tasks.json`` into ``folder``, which then is Label Studio's LOCAL_FILES_DOCUMENT_ROOT."""
    with (folder / FILE).open("w", encoding="utf-8", newline="") as sink:
        sink.write("[")
        for number, record in enumerate(records):
            sink.write(f"{',' if number else ''}\n{json_text(_task(record))}")
        sink.write("\n]\n")


def _task(record: Record) -> dict[str, Any]:
    cells = cells_of(record)
    image = f"{LOCAL_FILES}?d={cells.pop('file')}"
    task: dict[str, Any] = {"data": {"image": image, **cells}, "annotations": [], "predictions": []}
    if record.label is not None:
        task["annotations"] = [{"result": _chosen(record.label)}]
    if record.suggestion is not None:
        best = record.suggestion.top[0]
        task["predictions"] = [{
            "model_version": record.suggestion.model_version,
            "score": best.confidence / 100,
            "result": _chosen(best.label),
        }]  # fmt: skip
    return task


def _chosen(label: str) -> list[dict[str, Any]]:
    return [
        {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]}},
    ]
