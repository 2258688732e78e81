"""Who says and who hears what, asked of the services themselves."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.message import Message
from contracts.subjects import SERVICES, Consumer
from services.runtime.service import Service

PEOPLE = "people, upstream"
"""Says what no service says: commands, by the `menagerie` command or a system of the user's."""
RUNTIME = "every service"
"""Says dead-letter.stored, which is plumbing and in no service's own list."""


@dataclass(frozen=True)
class Wiring:
    """What one service declares when it is built."""

    publishes: tuple[type[Message], ...]
    consumers: tuple[Consumer, ...]


def wirings() -> dict[str, Wiring]:
    """Every service, built as it would be run (which opens nothing)."""
    found = {}
    for name in SERVICES:
        service = importlib.import_module(f"services.{name}.app").create_app()
        assert isinstance(service, Service)
        found[name] = Wiring(service.publishes, tuple(service.consumers))
        service.database.close()
    return found


def said_by(kind: type[Message], services: Mapping[str, Wiring]) -> list[str]:
    """Services that publish the type."""
    names = [name for name, wiring in services.items() if kind in wiring.publishes]
    if kind.name == "dead-letter.stored":
        return [RUNTIME]
    return names or [PEOPLE]


def heard_by(kind: type[Message], services: Mapping[str, Wiring]) -> list[Consumer]:
    """Durables that deliver the type."""
    return [
        consumer
        for wiring in services.values()
        for consumer in wiring.consumers
        if kind.subject() in consumer.subjects
    ]
