"""Projections of what people say of images and classes (streams IMAGES and LIBRARY)."""

from __future__ import annotations

from contracts.events import (
    BenchmarkAssigned,
    DoubleChecked,
    DoubleCheckRequested,
    ImageLabelled,
    ImageRelabelled,
    ImageUnlabelled,
    OpinionGiven,
    TaxonomyChanged,
)
from contracts.values import Suggestion
from services.reporter.domain.changes import Change, Part, change
from services.reporter.domain.images import BENCHMARK

LABEL = Part("label", "dim_images", ("image_id",), ("label_revision", "label_event_seq"))
LABEL_CHANGE = Part("label-change", "fct_label_changes", ("image_id", "revision"))
OPINION = Part("opinion", "fct_opinions", ("image_id", "revision"))
CHECK_REQUEST = Part("requested", "fct_double_checks", ("image_id", "revision"), ("requested_event_seq",))
CHECK = Part("checked", "fct_double_checks", ("image_id", "revision"), ("checked_event_seq",))
BENCHMARK_CHANGE = Part("benchmark-change", "fct_benchmark_changes", ("image_id", "revision"))
TAXONOMY_CHANGE = Part("taxonomy-change", "fct_taxonomy_changes", ("version",))


def labelled(event: ImageLabelled, seq: int) -> tuple[Change, ...]:
    """The label with the highest revision stands; the history keeps every one."""
    values = {
        "label": event.label,
        "label_kind": event.kind,
        "labelled_by": event.by,
        "labelled_at": event.labelled_at,
    }
    previous = event.previous_label if isinstance(event, ImageRelabelled) else None
    history = values | {"previous_label": previous, "reason": event.reason, "change_id": event.change_id}
    history |= _suggested(event.suggestion)
    return (
        change(LABEL, (event.image_id,), (event.revision, seq), values),
        change(LABEL_CHANGE, (event.image_id, event.revision), (seq,), history),
    )


def unlabelled(event: ImageUnlabelled, seq: int) -> tuple[Change, ...]:
    """An undone first label is a change like any other, to nothing."""
    values: dict[str, object] = {
        "label": None,
        "label_kind": None,
        "labelled_by": event.by,
        "labelled_at": event.unlabelled_at,
    }
    history = values | {"previous_label": event.previous_label, "reason": event.reason}
    history = history | {"change_id": event.change_id} | _suggested(None)
    return (
        change(LABEL, (event.image_id,), (event.revision, seq), values),
        change(LABEL_CHANGE, (event.image_id, event.revision), (seq,), history),
    )


def opinion_given(event: OpinionGiven, seq: int) -> tuple[Change, ...]:
    """A second opinion, as it was against the label of its time."""
    values = {
        "label": event.label,
        "label_kind": event.kind,
        "given_by": event.by,
        "current_label": event.current_label,
        "is_agreeing": event.agrees,
        "reason": event.reason,
        "given_at": event.given_at,
    }
    return (change(OPINION, (event.image_id, event.revision), (seq,), values),)


def double_check_requested(event: DoubleCheckRequested, seq: int) -> tuple[Change, ...]:
    """The image waits for another look."""
    values = {"reason": event.reason, "requested_by": event.by, "requested_at": event.requested_at}
    return (change(CHECK_REQUEST, (event.image_id, event.revision), (seq,), values),)


def double_checked(event: DoubleChecked, seq: int) -> tuple[Change, ...]:
    """The look was taken."""
    values = {
        "verdict": event.verdict,
        "checked_by": event.by,
        "checked_reason": event.reason,
        "checked_at": event.checked_at,
    }
    return (change(CHECK, (event.image_id, event.revision), (seq,), values),)


def benchmark_assigned(event: BenchmarkAssigned, seq: int) -> tuple[Change, ...]:
    """The newest assignment stands; the history keeps every one."""
    values = {
        "benchmark": event.benchmark,
        "previous_benchmark": event.previous_benchmark,
        "assigned_by": event.by,
        "reason": event.reason,
        "assigned_at": event.assigned_at,
    }
    return (
        change(BENCHMARK, (event.image_id,), (event.revision, seq), {"benchmark": event.benchmark}),
        change(BENCHMARK_CHANGE, (event.image_id, event.revision), (seq,), values),
    )


def taxonomy_changed(event: TaxonomyChanged, seq: int) -> tuple[Change, ...]:
    """One version of the taxonomy."""
    operation = event.operation
    values = {
        "change_kind": operation.change.kind,
        "operation": operation,
        "undoes_version": operation.undoes,
        "images": event.images,
        "changed_by": operation.by,
        "reason": operation.reason,
        "changed_at": event.changed_at,
    }
    return (change(TAXONOMY_CHANGE, (event.version,), (seq,), values),)


def _suggested(suggestion: Suggestion | None) -> dict[str, object]:
    best = suggestion.top[0] if suggestion else None
    return {
        "suggested_by_model_version": suggestion.model_version if suggestion else None,
        "suggested_label": best.label if best else None,
        "suggested_confidence": best.confidence if best else None,
        "suggestion": suggestion,
    }
