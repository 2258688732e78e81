"""Projections of what dedup finds: verdicts, pairs that look alike, similarity vectors."""

from __future__ import annotations

from contracts.events import ImageDeduplicated, PairJudged, VectorsComputed
from services.reporter.domain.changes import Change, Part, change

VERDICT = Part("verdict", "dim_images", ("image_id",), ("verdict_revision", "verdict_event_seq"))
PAIR = Part("pair", "dim_duplicate_pairs", ("image_id", "other_image_id"), ("revision", "event_seq"))
JUDGEMENT = Part("judgement", "fct_pair_judgements", ("image_id", "other_image_id", "revision"))
VECTOR_RUN = Part("vector-run", "fct_vector_runs", ("run_id",))


def deduplicated(event: ImageDeduplicated, seq: int) -> tuple[Change, ...]:
    """The verdict with the highest revision stands; the image's own fact may still be on its way."""
    values = {
        "verdict": event.verdict,
        "group_id": event.group,
        "duplicate_of_image_id": event.duplicate_of,
        "distance_bits": event.distance_bits,
        "orientation": event.orientation,
        "verdict_by": event.by,
        "detector": event.detector,
        "deduplicated_at": event.deduplicated_at,
    }
    return (change(VERDICT, (event.image_id,), (event.revision, seq), values),)


def pair_judged(event: PairJudged, seq: int) -> tuple[Change, ...]:
    """The judgement with the highest revision stands; the history keeps every one."""
    values = {
        "state": event.state,
        "distance_bits": event.distance_bits,
        "orientation": event.orientation,
        "similarity": event.similarity,
        "detector": event.detector,
        "suggested_keep_image_id": event.suggested_keep,
        "keep_image_id": event.keep,
        "judged_by": event.by,
        "reason": event.reason,
        "request_id": event.request_id,
        "judged_at": event.judged_at,
    }
    pair = (event.image_id, event.other_id)
    return (
        change(PAIR, pair, (event.revision, seq), values),
        change(JUDGEMENT, (*pair, event.revision), (seq,), values),
    )


def vectors_computed(event: VectorsComputed, seq: int) -> tuple[Change, ...]:
    """Vectors of a snapshot's images, with the name of what made them."""
    values = {
        "encoder": event.encoder,
        "model_version": event.model_version,
        "snapshot_id": event.snapshot_id,
        "images": event.images,
        "dimensions": event.dimensions,
        "vectors_key": event.vectors.key,
        "vectors_sha256": event.vectors.sha256,
        "size_bytes": event.vectors.size,
        "computed_at": event.computed_at,
    }
    return (change(VECTOR_RUN, (event.run_id,), (seq,), values),)
