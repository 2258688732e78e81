"""Requests that people keep in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.ops.clients.errors import OpsError


def read_object(path: Path, wanted: str) -> dict[str, Any]:
    """The JSON object in the file; ``wanted`` tells what belongs into it.

    Raises:
        OpsError: it cannot be read, or is no JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OpsError(f"{path} cannot be read as JSON ({error}): correct it") from error
    if not isinstance(document, dict):
        raise OpsError(f"{path} holds no JSON object: write {wanted}")
    return document
