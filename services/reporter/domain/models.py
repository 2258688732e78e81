"""Projections of the stream MODELS, and of snapshots."""

from __future__ import annotations

from contracts.commands import RequestTraining
from contracts.events import (
    ModelExported,
    ModelScored,
    ModelTrained,
    SnapshotPacked,
    SnapshotProgressed,
    TrainCancelled,
    TrainFailed,
    TrainProgressed,
    TrialCompleted,
)
from services.reporter.domain.changes import Change, Part, change
from services.reporter.domain.reports import page_written

SNAPSHOT = Part("snapshot", "fct_snapshots", ("request_id",))
SNAPSHOT_PROGRESS = Part("progress", "fct_snapshot_progress", ("request_id",), ("shards_done", "event_seq"))
RUN_REQUEST = Part("requested", "fct_train_runs", ("run_id",), ("requested_event_seq",))
RUN_OUTCOME = Part("outcome", "fct_train_runs", ("run_id",), ("outcome_event_seq",))
EPOCH = Part("epoch", "fct_train_epochs", ("run_id", "epoch"))
TRAINED = Part("trained", "dim_models", ("model_version",), ("trained_event_seq",))
SCORED = Part("scored", "dim_models", ("model_version",), ("scored_event_seq",))
EXPORTED = Part("exported", "dim_models", ("model_version",), ("exported_event_seq",))
SET_SCORE = Part("set-score", "fct_model_scores", ("model_version", "request_id", "set_name"))
GATE_RULE = Part("gate-rule", "fct_gate_rules", ("model_version", "request_id", "rule"))
TEST_SET = "test"


def snapshot_packed(event: SnapshotPacked, seq: int) -> tuple[Change, ...]:
    """One request answered; equal library states share a ``snapshot_id``."""
    values = {
        "snapshot_id": event.snapshot_id,
        "images": event.images,
        "labelled": event.labelled,
        "unlabelled": event.unlabelled,
        "classes": event.classes,
        "shards": event.shards,
        "size_bytes": event.size_bytes,
        "image_size_px": event.image_size_px,
        "manifest_key": event.manifest.key,
        "manifest_sha256": event.manifest.sha256,
        "shards_reused": event.shards_reused,
        "taxonomy_version": event.taxonomy_version,
        "packed_at": event.packed_at,
    }
    return (change(SNAPSHOT, (event.request_id,), (seq,), values),)


def snapshot_progressed(event: SnapshotProgressed, seq: int) -> tuple[Change, ...]:
    """How far the packing is; the part with most shards done stands, in whatever order they come."""
    values = {
        "snapshot_id": event.snapshot_id,
        "shards": event.shards,
        "images": event.images,
        "images_done": event.images_done,
        "size_bytes": event.size_bytes,
        "progressed_at": event.progressed_at,
    }
    return (change(SNAPSHOT_PROGRESS, (event.request_id,), (event.shards_done, seq), values),)


def train_requested(event: RequestTraining, seq: int) -> tuple[Change, ...]:
    """A run as it was asked for."""
    values = {
        "snapshot_id": event.snapshot_id,
        "base": event.base,
        "network": event.options.network,
        "epochs_requested": event.options.epochs,
        "is_throw_away": event.throw_away,
        "is_trial": event.trial,
        "rules": event.rules,
        "options": event.options,
        "search_id": event.search_id,
        "trial_number": event.trial_number,
        "requested_by": event.by,
        "requested_at": event.requested_at,
    }
    return (change(RUN_REQUEST, (event.run_id,), (seq,), values),)


def train_progressed(event: TrainProgressed, seq: int) -> tuple[Change, ...]:
    """One point of the curve; a run that began again after a crash overwrites it."""
    values = {
        "epochs_planned": event.epochs,
        "loss": event.loss,
        "accuracy": event.accuracy,
        "validation_loss": event.val_loss,
        "validation_accuracy": event.val_accuracy,
        "images_per_s": event.images_per_s,
        "eta_s": event.eta_s,
        "learning_rate": event.learning_rate,
        "data_wait_share": event.data_wait_share,
        "cpu_share": event.cpu_share,
        "gpu_share": event.gpu_share,
        "cost": event.cost,
        "cost_estimate": event.cost_estimate,
        "progressed_at": event.progressed_at,
    }
    return (change(EPOCH, (event.run_id, event.epoch), (seq,), values),)


def train_failed(event: TrainFailed, seq: int) -> tuple[Change, ...]:
    """The run ended without a model."""
    values = _no_outcome() | {
        "outcome": "failed",
        "error": event.error,
        "remedy": event.remedy,
        "ended_at": event.failed_at,
    }
    return (change(RUN_OUTCOME, (event.run_id,), (seq,), values),)


def train_cancelled(event: TrainCancelled, seq: int) -> tuple[Change, ...]:
    """A person stopped the run."""
    values = _no_outcome() | {
        "outcome": "cancelled",
        "epochs_run": event.epochs,
        "cancelled_by": event.by,
        "cancel_reason": event.reason,
        "ended_at": event.cancelled_at,
    }
    return (change(RUN_OUTCOME, (event.run_id,), (seq,), values),)


def trial_completed(event: TrialCompleted, seq: int) -> tuple[Change, ...]:
    """The run ended; only its curve counts."""
    values = _no_outcome() | {
        "outcome": "trial-completed",
        "outcome_snapshot_id": event.snapshot_id,
        "outcome_network": event.network,
        "epochs_run": event.epochs,
        "best_epoch": event.best_epoch,
        "best_validation_accuracy": event.best_val_accuracy,
        "history_key": event.history.key,
        "is_pruned": event.pruned,
        "ended_at": event.completed_at,
    }
    return (change(RUN_OUTCOME, (event.run_id,), (seq,), values),)


def model_trained(event: ModelTrained, seq: int) -> tuple[Change, ...]:
    """A model is registered, and its run ended."""
    shared = {
        "base_version": event.base_version,
        "best_epoch": event.best_epoch,
        "best_validation_accuracy": event.best_val_accuracy,
        "history_key": event.history.key,
    }
    model = shared | {
        "run_id": event.run_id,
        "snapshot_id": event.snapshot_id,
        "network": event.network,
        "image_size_px": event.image_size_px,
        "classes": event.classes,
        "class_count": len(event.classes),
        "train_images": event.images.train,
        "validation_images": event.images.validation,
        "test_images": event.images.test,
        "benchmark_images": event.images.benchmark,
        "out_images": event.images.out,
        "epochs": event.epochs,
        "is_throw_away": event.throw_away,
        "model_key": event.model.key,
        "model_sha256": event.model.sha256,
        "dataset_key": event.dataset.key,
        "trained_at": event.trained_at,
    }
    run = (
        _no_outcome()
        | shared
        | {
            "outcome": "trained",
            "outcome_snapshot_id": event.snapshot_id,
            "outcome_network": event.network,
            "model_version": event.model_version,
            "epochs_run": event.epochs,
            "summary_key": event.summary.key if event.summary else None,
            "curves_key": event.curves.key if event.curves else None,
            "log_key": event.log.key if event.log else None,
            "seconds": event.seconds,
            "cost": event.cost,
            "ended_at": event.trained_at,
        }
    )
    return (
        change(TRAINED, (event.model_version,), (seq,), model),
        change(RUN_OUTCOME, (event.run_id,), (seq,), run),
    )


def model_scored(event: ModelScored, seq: int) -> tuple[Change, ...]:
    """The newest scoring shows beside the model; every scoring keeps its sets and gate rules."""
    test = next((score for score in event.sets if score.name == TEST_SET), None)
    model = {
        "score_request_id": event.request_id,
        "threshold": event.threshold,
        "gate_verdict": event.gate.verdict,
        "report_key": event.report.key,
        "test_accuracy": test.accuracy if test else None,
        "scored_at": event.scored_at,
    }
    of = (event.model_version, event.request_id)
    sets = (
        change(
            SET_SCORE,
            (*of, score.name),
            (seq,),
            {
                **score.model_dump(exclude={"name"}),
                "set_position": position,
                "threshold": event.threshold,
                "scored_at": event.scored_at,
            },
        )
        for position, score in enumerate(event.sets, 1)
    )
    rules = (
        change(
            GATE_RULE,
            (*of, rule.rule),
            (seq,),
            {
                "rule_position": position,
                "is_passed": rule.passed,
                "sentence": rule.sentence,
                "scored_at": event.scored_at,
            },
        )
        for position, rule in enumerate(event.gate.rules, 1)
    )
    scored = change(SCORED, (event.model_version,), (seq,), model)
    return (scored, *sets, *rules, *page_written(event, seq))


def model_exported(event: ModelExported, seq: int) -> tuple[Change, ...]:
    """The newest export of the model."""
    values = {
        "export_request_id": event.request_id,
        "export_manifest_key": event.manifest.key,
        "export_ordered_by": event.ordered_by,
        "export_reason": event.reason,
        "exported_at": event.exported_at,
    }
    return (change(EXPORTED, (event.model_version,), (seq,), values),)


def _no_outcome() -> dict[str, object]:
    return dict.fromkeys(
        (
            "outcome_snapshot_id",
            "outcome_network",
            "model_version",
            "base_version",
            "epochs_run",
            "best_epoch",
            "best_validation_accuracy",
            "history_key",
            "summary_key",
            "curves_key",
            "log_key",
            "seconds",
            "cost",
            "is_pruned",
            "cancelled_by",
            "cancel_reason",
            "error",
            "remedy",
        )
    )
