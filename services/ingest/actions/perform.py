"""Carries out what people and upstream systems ask of the library; the same for a message and for HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from contracts.commands import AssignLabel
from contracts.message import Message
from services.ingest.actions import labels
from services.ingest.domain.faults import ActionRefused
from services.ingest.domain.text import storable
from services.ingest.store import requests
from services.runtime.database import Unit

Outcome = dict[str, Any]
"""What the requester is told; JSON."""

Action = Callable[[Unit, Any, datetime], Outcome]

ACTIONS: Mapping[type[Message], Action] = {
    AssignLabel: labels.assign,
}


def perform(unit: Unit, request: Message, at: datetime) -> Outcome:
    """Do what ``request`` asks; one that was handled before changes nothing and is told the same again.

    Raises:
        ActionRefused: it cannot be done, and why.
        ImageNotYetKnown: it may be possible in a moment.
    """
    request = storable(request)
    request_id = str(getattr(request, "request_id"))  # noqa: B009 - every command has one
    handled = requests.outcome_of(unit.connection, request_id)
    if handled is not None:
        name, outcome = handled
        if name != request.name:
            raise ActionRefused(409, f"request_id {request_id!r} was used for {name}; make a new one")
        return outcome
    outcome = ACTIONS[type(request)](unit, request, at)
    requests.keep_outcome(unit.connection, request_id, request.name, outcome, at)
    return outcome
