"""Carries out what people and upstream systems ask of the library; the same for a message and for HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from contracts import commands
from contracts.message import Message
from services.ingest.actions import benchmarks, classes, double_checks, labels, opinions
from services.ingest.domain.faults import ActionRefused
from services.ingest.store import requests
from services.runtime.database import Unit
from services.runtime.text import storable

Outcome = dict[str, Any]
"""What the requester is told; JSON."""

Action = Callable[[Unit, Any, datetime], Outcome]


def _queue(unit: Unit, request: Message, _at: datetime) -> Outcome:
    """Long work, asked for over HTTP: it is done when its message is heard, like any that was sent as one."""
    unit.emit(request)
    return {"queued": True}


ACTIONS: Mapping[type[Message], Action] = {
    commands.AssignLabel: labels.assign,
    commands.AssignLabels: labels.assign_many,
    commands.UndoLabels: labels.undo,
    commands.GiveOpinion: opinions.give_opinion,
    commands.RequestDoubleCheck: double_checks.request_double_check,
    commands.CloseDoubleCheck: double_checks.double_checked,
    commands.AssignBenchmark: benchmarks.assign_benchmark,
    commands.MergeClasses: classes.change_taxonomy,
    commands.SplitClass: classes.change_taxonomy,
    commands.RenameClass: classes.change_taxonomy,
    commands.UndoTaxonomy: classes.change_taxonomy,
    commands.RequestSnapshot: _queue,
    commands.RequestReconcile: _queue,
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
