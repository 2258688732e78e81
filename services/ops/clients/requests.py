"""The commands a person sends; ids are made here, so that every repetition carries the same one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from contracts.commands import (
    CancelTraining,
    RequestComparison,
    RequestCompression,
    RequestEvaluation,
    RequestExport,
    RequestIdentification,
    RequestSearch,
    RequestSnapshot,
    RequestTraining,
    RequestVectors,
)
from contracts.message import Message
from services.ops.clients.errors import OpsError
from services.ops.clients.ulid import UlidSource

M = TypeVar("M", bound=Message)
_ids = UlidSource()


def new_id() -> str:
    """An id for a request or a run."""
    return _ids.next()


def _made(message: type[M], /, **fields: Any) -> M:
    try:
        return message(requested_at=datetime.now(UTC), **fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise OpsError(f"{place} = {first['input']!r} cannot be used ({first['msg']}): correct it") from error


def request_snapshot(by: str) -> RequestSnapshot:
    """Pack the library."""
    return _made(RequestSnapshot, request_id=new_id(), by=by)


def request_training(snapshot_id: str, by: str, **fields: Any) -> RequestTraining:
    """Train; ``fields`` are those of the command."""
    return _made(RequestTraining, run_id=new_id(), snapshot_id=snapshot_id, by=by, **fields)


def cancel_training(run_id: str, by: str, reason: str | None) -> CancelTraining:
    """Stop a run or a search."""
    return _made(CancelTraining, request_id=new_id(), run_id=run_id, by=by, reason=reason)


def request_search(by: str, **fields: Any) -> RequestSearch:
    """Look for good options; ``fields`` are those of the command."""
    return _made(RequestSearch, search_id=new_id(), by=by, **fields)


def request_evaluation(model_version: str, by: str, **fields: Any) -> RequestEvaluation:
    """Score a model again; ``fields`` are those of the command."""
    return _made(RequestEvaluation, request_id=new_id(), model_version=model_version, by=by, **fields)


def request_comparison(model_a: str, model_b: str, by: str, **fields: Any) -> RequestComparison:
    """Compare two models; ``fields`` are those of the command."""
    return _made(RequestComparison, request_id=new_id(), model_a=model_a, model_b=model_b, by=by, **fields)


def request_export(model_version: str, by: str, reason: str) -> RequestExport:
    """Export a model whatever its gate says."""
    return _made(
        RequestExport, request_id=new_id(), model_version=model_version, by=by, reason=reason.strip()
    )


def request_compression(model_version: str, by: str, options: dict[str, Any]) -> RequestCompression:
    """Make smaller variants of a model; ``options`` are those of contracts.training.CompressionOptions."""
    return _made(RequestCompression, request_id=new_id(), model_version=model_version, by=by, options=options)


def request_identification(model_version: str, by: str, snapshot_id: str | None) -> RequestIdentification:
    """Identify what has no label."""
    return _made(
        RequestIdentification,
        request_id=new_id(),
        model_version=model_version,
        by=by,
        snapshot_id=snapshot_id,
    )


def request_vectors(model_version: str | None, by: str, snapshot_id: str | None) -> RequestVectors:
    """Compute the similarity vectors that a snapshot's images lack."""
    return _made(
        RequestVectors, request_id=new_id(), model_version=model_version, by=by, snapshot_id=snapshot_id
    )
