"""Projections of what was written about models: the page of a scoring, a comparison."""

from __future__ import annotations

from contracts.events import ModelsCompared, ModelScored
from contracts.values import ObjectRef
from services.reporter.domain.changes import Change, Part, change

PAGE = Part("page", "fct_model_pages", ("model_version", "request_id"))
COMPARISON = Part("comparison", "fct_model_comparisons", ("request_id",))
COUNTED = (
    "model_a", "model_b", "dataset_of", "taxonomy_version", "images", "both_right", "fixed", "broken",
    "both_wrong", "accuracy_a", "accuracy_b", "p_value", "learned_from", "nobodys", "compared_at",
)  # fmt: skip


def page_written(event: ModelScored, seq: int) -> tuple[Change, ...]:
    """Where the page of a scoring lies; scorings of before there were pages have none."""
    if event.page is None:
        return ()
    values = _file("page", event.page) | {"scored_at": event.scored_at}
    return (change(PAGE, (event.model_version, event.request_id), (seq,), values),)


def models_compared(event: ModelsCompared, seq: int) -> tuple[Change, ...]:
    """One comparison, by the request that it answers."""
    values = {name: getattr(event, name) for name in COUNTED} | _file("summary", event.summary)
    return (change(COMPARISON, (event.request_id,), (seq,), values),)


def _file(name: str, ref: ObjectRef) -> dict[str, object]:
    return {f"{name}_key": ref.key, f"{name}_size_bytes": ref.size, f"{name}_sha256": ref.sha256}
