"""Which function projects which message."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from contracts import commands, events
from contracts.message import Message
from services.reporter.domain import bulk, duplicates, images, labels, models, reports, searches, variants
from services.reporter.domain.changes import Change

PROJECTIONS: dict[type[Message], Callable[[Any, int], tuple[Change, ...]]] = {
    events.ImageUploaded: images.uploaded,
    events.ImageAccepted: images.accepted,
    events.ImageRepeated: images.repeated,
    events.ImageRejected: images.rejected,
    events.ImageDeduplicated: duplicates.deduplicated,
    events.PairJudged: duplicates.pair_judged,
    events.ImageFlagged: images.flagged,
    events.ImageLabelled: labels.labelled,
    events.ImageRelabelled: labels.labelled,
    events.ImageUnlabelled: labels.unlabelled,
    events.OpinionGiven: labels.opinion_given,
    events.DoubleCheckRequested: labels.double_check_requested,
    events.DoubleChecked: labels.double_checked,
    events.BenchmarkAssigned: labels.benchmark_assigned,
    events.TaxonomyChanged: labels.taxonomy_changed,
    events.SnapshotProgressed: models.snapshot_progressed,
    events.SnapshotPacked: models.snapshot_packed,
    commands.RequestTraining: models.train_requested,
    events.TrainProgressed: models.train_progressed,
    events.TrainFailed: models.train_failed,
    events.TrainCancelled: models.train_cancelled,
    events.TrialCompleted: models.trial_completed,
    commands.RequestSearch: searches.search_requested,
    events.SearchCompleted: searches.search_completed,
    events.ModelTrained: models.model_trained,
    events.ModelScored: models.model_scored,
    events.ModelsCompared: reports.models_compared,
    events.ModelExported: models.model_exported,
    events.ModelCompressed: variants.model_compressed,
    events.BulkIdentified: bulk.bulk_identified,
    events.BulkCompleted: bulk.bulk_completed,
    events.VectorsComputed: duplicates.vectors_computed,
    events.DeadLetterStored: bulk.dead_letter_stored,
    events.DeadLetterReplayed: bulk.dead_letter_replayed,
}


def project(message: Message, seq: int) -> tuple[Change, ...]:
    """What ``message``, stored at sequence ``seq`` of its stream, changes; () when nothing.

    Raises:
        Unprojectable: the message holds a value that no column can take.
    """
    projection = PROJECTIONS.get(type(message))
    return projection(message, seq) if projection else ()


def project_all(messages: Iterable[tuple[Message, int]]) -> list[Change]:
    """All changes of (message, sequence) pairs, in their order."""
    return [item for message, seq in messages for item in project(message, seq)]
