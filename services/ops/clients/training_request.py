"""A train request out of a file, ``--option KEY=VALUE`` and the command's own options, in that order."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.ops.clients.errors import OpsError
from services.ops.clients.json_file import read_object
from services.ops.clients.spaces import scalar

REQUEST_FIELDS = (
    "snapshot_id", "base", "rules", "options", "throw_away", "trial", "taxonomy_version",
)  # fmt: skip
OF_THE_ASKING = frozenset({"run_id", "by", "requested_at", "search_id", "trial_number"})
"""Fields of a request that was sent: another one has its own."""
THROW_AWAY_MINIMUM = 35
"""Images of a class that a throw-away run is content with (domain.md section 2)."""

Fields = dict[str, Any]


def read_request(path: Path) -> Fields:
    """Fields of a RequestTraining; a file that has none of them is the options themselves.

    Raises:
        OpsError: it cannot be read, is no JSON object, or has fields that no request has.
    """
    document = read_object(path, "the fields of a request, or its options")
    fields = {name: value for name, value in document.items() if name not in OF_THE_ASKING}
    if not fields.keys() & set(REQUEST_FIELDS):
        fields = {"options": fields}
    for name in fields:
        if name not in REQUEST_FIELDS:
            raise OpsError(f"{path} has {name!r}, which no request has: {_nearest(name, REQUEST_FIELDS)}")
    for name in _names(fields.get("options") or {}):
        check_option(name, str(path))
    return fields


def read_options(texts: Sequence[str]) -> Fields:
    """``epochs=10``, ``rates.backbone=0.1`` and ``rates.layers.block7=0.5``, as fields of TrainOptions.

    Raises:
        OpsError: a text is spelled otherwise, or there is no such option.
    """
    fields: Fields = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise OpsError(f"--option {text!r} cannot be read: write NAME=VALUE, e.g. learning_rate=0.001")
        check_option(name, "--option")
        *outer, last = _path(name)
        place = fields
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = None if value.lower() in ("none", "null") else scalar(value)
    return fields


def check_option(name: str, place: str) -> None:
    """That there is an option of that name.

    Raises:
        OpsError: there is none; the nearest are named.
    """
    from contracts.training import LearningRates, TrainOptions

    rates = [f"rates.{field}" for field in LearningRates.model_fields]
    known = [*(field for field in TrainOptions.model_fields if field != "rates"), *rates]
    if name not in known and not name.startswith("rates.layers."):
        raise OpsError(f"{place} has {name!r}, which is no option of training: {_nearest(name, known)}")


def merged(*parts: Mapping[str, Any]) -> Fields:
    """Later parts win, field by field, also within fields."""
    whole: Fields = {}
    for part in parts:
        for name, value in part.items():
            before = whole.get(name)
            both = isinstance(before, dict) and isinstance(value, Mapping)
            whole[name] = merged(before or {}, value) if both else value
    return whole


def _path(name: str) -> list[str]:
    """Names of layers have dots of their own."""
    if name.startswith("rates.layers."):
        return ["rates", "layers", name.removeprefix("rates.layers.")]
    return name.split(".")


def _names(options: Mapping[str, Any]) -> list[str]:
    rates = options.get("rates")
    inner = [f"rates.{name}" for name in rates] if isinstance(rates, dict) else []
    return [*(name for name in options if name != "rates"), *inner]


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 3, 0.5)
    return f"is {' or '.join(near)} meant?" if near else f"there are {', '.join(known)}"
