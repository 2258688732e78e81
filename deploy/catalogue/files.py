"""The generated files by path, as they should be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from contracts.message import message_types
from deploy.catalogue.asyncapi import asyncapi_document
from deploy.catalogue.compatibility import breaks
from deploy.catalogue.pages import events_page
from deploy.catalogue.wiring import Wiring

SCHEMAS = Path("tests/contracts/schemas")


def documents(services: Mapping[str, Wiring]) -> dict[Path, str]:
    """Pages for readers."""
    return {
        Path("docs/events.md"): events_page(services),
        Path("docs/asyncapi.yaml"): asyncapi_document(services),
    }


def golden_schemas() -> dict[Path, str]:
    """One JSON schema per message type."""
    return {
        SCHEMAS / f"{kind.name}.json": json.dumps(kind.model_json_schema(), indent=2, sort_keys=True) + "\n"
        for kind in message_types().values()
    }


def broken_promises(root: Path) -> list[str]:
    """How the code breaks with the golden schemas under ``root``; a missing type is one, too."""
    today = golden_schemas()
    found = []
    for path in sorted((root / SCHEMAS).glob("*.json")):
        new = today.get(path.relative_to(root))
        if new is None:
            found.append(f"{path.stem}: the message type is gone; stored messages of it could not be read")
            continue
        found += [
            f"{path.stem}: {sentence}" for sentence in breaks(json.loads(path.read_text()), json.loads(new))
        ]
    return found
