"""The space of a search as a person types it, or as a file has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.ops.clients.errors import OpsError
from services.ops.clients.json_file import read_object

SPELLINGS = "NAME=LOW:HIGH, NAME=LOW:HIGH:log, NAME=LOW:HIGH:STEP or NAME=VALUE,VALUE,..."
REQUEST_FIELDS = frozenset({
    "snapshot_id", "base", "rules", "options", "space", "method", "trials", "parallel", "prune", "seed",
    "taxonomy_version",
})  # fmt: skip
Scalar = bool | int | float | str


def read_spaces(texts: Sequence[str]) -> dict[str, Any]:
    """``learning_rate=1e-4:1e-2:log`` and the like, by option.

    Raises:
        OpsError: a text is spelled otherwise, or an option comes twice.
    """
    space: dict[str, Any] = {}
    for text in texts:
        name, asked = _split(text)
        if name in space:
            raise OpsError(f"--space names {name} twice: put all its values into one")
        space[name] = _range(text, asked) if ":" in asked else [scalar(part) for part in asked.split(",")]
    return space


def read_space_file(path: Path) -> dict[str, Any]:
    """Fields of a RequestSearch; a file without ``space`` is the space itself.

    Raises:
        OpsError: it cannot be read, is no JSON object, or has fields that no search has.
    """
    document = read_object(path, "{option: values} or the fields of a search")
    if "space" not in document:
        return {"space": document}
    unknown = sorted(set(document) - REQUEST_FIELDS)
    if unknown:
        known = ", ".join(sorted(REQUEST_FIELDS))
        raise OpsError(f"{path} has {', '.join(unknown)}, which no search has: it may have {known}")
    return document


def scalar(text: str) -> Scalar:
    """A whole number, a number, true or false; a word otherwise."""
    cleaned = text.strip()
    if cleaned.lower() in ("true", "false"):
        return cleaned.lower() == "true"
    for kind in (int, float):
        try:
            return kind(cleaned)
        except ValueError:
            continue
    return cleaned


def _range(text: str, asked: str) -> dict[str, Any]:
    ends, log = asked.removesuffix(":log"), asked.endswith(":log")
    names = ("low", "high") if log else ("low", "high", "step")
    try:
        numbers = [float(part) for part in ends.split(":")]
        if not 2 <= len(numbers) <= len(names):
            raise OpsError(f"--space {text!r} has {len(numbers)} numbers: write {SPELLINGS}")
        span: dict[str, Any] = dict(zip(names, numbers, strict=False))
    except ValueError as error:
        raise OpsError(f"--space {text!r} cannot be read: write {SPELLINGS}") from error
    return span | {"log": True} if log else span


def _split(text: str) -> tuple[str, str]:
    name, equals, asked = text.partition("=")
    if not (name.strip() and equals and asked.strip()):
        raise OpsError(f"--space {text!r} cannot be read: write {SPELLINGS}")
    return name.strip(), asked
