"""The only spelling of streams, subjects and durables.

``deploy/provision`` declares what stands here, the services attach to it by name, and the
permissions of each service's NATS user are derived from it.
"""

from __future__ import annotations

from dataclasses import dataclass

SUBJECT_PREFIX = "menagerie.v1"


@dataclass(frozen=True)
class Stream:
    """One append-only log on the broker; nothing in it expires, it is the source of truth."""

    name: str
    domains: tuple[str, ...]

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subject filters of the stream, one per domain."""
        return tuple(f"{SUBJECT_PREFIX}.{domain}.>" for domain in self.domains)


@dataclass(frozen=True)
class Consumer:
    """A durable: one service's place in one stream, shared by all its replicas.

    ``batch`` messages are fetched and handled together; ``ack_wait_s`` is how long the broker
    waits for a sign of life (handlers send one every third of it).
    """

    durable: str
    service: str
    stream: str
    names: tuple[str, ...]
    batch: int = 1
    ack_wait_s: float = 30.0
    max_ack_pending: int = 256

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects the durable filters on."""
        return tuple(f"{SUBJECT_PREFIX}.{name}" for name in self.names)


STREAMS = (
    Stream("IMAGES", ("image",)),
    Stream("LIBRARY", ("library", "label", "class", "benchmark", "duplicate")),
    Stream("MODELS", ("train", "model")),
    Stream("BULK", ("bulk",)),
    Stream("BUCKETS", ("bucket",)),
    Stream("DEAD_LETTERS", ("dead-letter",)),
)

CONSUMERS = (
    Consumer("ingest-uploads", "ingest", "IMAGES", ("image.uploaded",), batch=32),
    Consumer("ingest-verdicts", "ingest", "IMAGES", ("image.deduplicated",), batch=128),
    Consumer("ingest-drops", "ingest", "BUCKETS", ("bucket.notified",), batch=32),
    Consumer("ingest-reconciles", "ingest", "LIBRARY", ("library.reconcile-requested",)),
    Consumer("ingest-suggestions", "ingest", "BULK", ("bulk.identified",), batch=4),
    Consumer(
        "ingest-labels",
        "ingest",
        "LIBRARY",
        (
            "label.assign",
            "label.assign-many",
            "label.undo",
            "label.give-opinion",
            "label.double-check",
            "label.double-checked",
            "benchmark.assign",
        ),
        batch=32,
    ),
    # One at a time: each is judged against the version before it.
    Consumer(
        "ingest-classes", "ingest", "LIBRARY", ("class.merge", "class.split", "class.rename", "class.undo")
    ),
    # One at a time: packing is long, and two packs of one state would do the same work twice.
    Consumer("ingest-snapshots", "ingest", "LIBRARY", ("library.snapshot-requested",)),
    # The index has one active writer (design.md, Scale); verdicts are made in batches.
    Consumer("dedup-images", "dedup", "IMAGES", ("image.accepted",), batch=64),
    Consumer(
        "dedup-labels",
        "dedup",
        "IMAGES",
        ("image.labelled", "image.relabelled", "image.unlabelled"),
        batch=256,
        max_ack_pending=1024,
    ),
    Consumer("dedup-resolutions", "dedup", "LIBRARY", ("duplicate.resolve", "duplicate.undo"), batch=32),
    Consumer("dedup-vectors", "dedup", "BULK", ("bulk.vectors-computed",)),
    Consumer("trainer-snapshots", "trainer", "LIBRARY", ("library.snapshot-packed",)),
    Consumer("trainer-requests", "trainer", "MODELS", ("train.requested",)),
    # Apart from the requests: both must be heard while a run is on.
    Consumer("trainer-cancels", "trainer", "MODELS", ("train.cancel-requested",)),
    Consumer("trainer-dead-letters", "trainer", "DEAD_LETTERS", ("dead-letter.stored",), batch=16),
    Consumer(
        "trainer-searches",
        "trainer",
        "MODELS",
        (
            "train.search-requested",
            "train.progressed",
            "train.trial-completed",
            "train.failed",
            "train.cancelled",
        ),
    ),
    Consumer(
        "trainer-exports",
        "trainer",
        "MODELS",
        ("model.scored", "model.export-requested", "model.compress-requested"),
    ),
    Consumer(
        "evaluator-library", "evaluator", "LIBRARY", ("library.snapshot-packed", "library.taxonomy-changed")
    ),
    Consumer(
        "evaluator-models",
        "evaluator",
        "MODELS",
        ("model.trained", "model.evaluate-requested", "model.compare-requested", "model.exported"),
    ),
    Consumer("evaluator-reviews", "evaluator", "MODELS", ("model.review-requested",)),
    Consumer("evaluator-verdicts", "evaluator", "IMAGES", ("image.double-checked",), batch=128),
    Consumer("evaluator-flags", "evaluator", "IMAGES", ("image.flagged",), batch=256, max_ack_pending=1024),
    Consumer("evaluator-confusions", "evaluator", "LIBRARY", ("class.set-confused",)),
    Consumer("bulkid-snapshots", "bulkid", "LIBRARY", ("library.snapshot-packed",)),
    # Exported models, and those of throw-away runs, which never are.
    Consumer("bulkid-models", "bulkid", "MODELS", ("model.exported", "model.trained")),
    Consumer("bulkid-requests", "bulkid", "BULK", ("bulk.identify-requested", "bulk.vectors-requested")),
    Consumer(
        "reporter-images",
        "reporter",
        "IMAGES",
        (
            "image.uploaded",
            "image.accepted",
            "image.repeated",
            "image.rejected",
            "image.deduplicated",
            "image.pair-judged",
            "image.flagged",
            "image.labelled",
            "image.relabelled",
            "image.unlabelled",
            "image.opinion-given",
            "image.double-check-requested",
            "image.double-checked",
            "image.benchmark-assigned",
        ),
        batch=256,
        max_ack_pending=1024,
    ),
    Consumer(
        "reporter-library",
        "reporter",
        "LIBRARY",
        ("library.snapshot-progressed", "library.snapshot-packed", "library.taxonomy-changed"),
        batch=16,
    ),
    Consumer(
        "reporter-models",
        "reporter",
        "MODELS",
        (
            "train.requested",
            "train.progressed",
            "train.failed",
            "train.cancelled",
            "train.trial-completed",
            "train.search-requested",
            "train.search-completed",
            "model.trained",
            "model.scored",
            "model.exported",
            "model.compressed",
            "model.compared",
        ),
        batch=64,
    ),
    Consumer(
        "reporter-bulk",
        "reporter",
        "BULK",
        ("bulk.identified", "bulk.completed", "bulk.vectors-computed"),
        batch=16,
    ),
    Consumer(
        "reporter-dead-letters",
        "reporter",
        "DEAD_LETTERS",
        (
            "dead-letter.stored",
            "dead-letter.replayed",
        ),
        batch=64,
    ),
)

SERVICES = ("ingest", "dedup", "trainer", "evaluator", "bulkid", "reporter")

PUBLISHES: dict[str, tuple[str, ...]] = {
    "ingest": (
        "image.uploaded",
        "image.accepted",
        "image.repeated",
        "image.rejected",
        "image.flagged",
        "image.labelled",
        "image.relabelled",
        "image.unlabelled",
        "image.opinion-given",
        "image.double-check-requested",
        "image.double-checked",
        "image.benchmark-assigned",
        "library.taxonomy-changed",
        "library.snapshot-progressed",
        "library.snapshot-packed",
        "library.reconcile-requested",
        "library.snapshot-requested",
    ),
    "dedup": ("image.deduplicated", "image.pair-judged"),
    "trainer": (
        "train.progressed",
        "train.failed",
        "train.cancelled",
        "train.requested",
        "train.trial-completed",
        "train.search-completed",
        "model.trained",
        "model.exported",
        "model.compressed",
    ),
    "evaluator": (
        "model.scored",
        "model.rescored",
        "model.scoring-progressed",
        "model.compared",
        "label.double-check",
        "library.confused-pairs-changed",
        "model.review-requested",
    ),
    "bulkid": ("bulk.identified", "bulk.vectors-computed", "bulk.vectors-requested", "bulk.completed"),
    "reporter": (),
    "ops": (
        "label.assign",
        "label.assign-many",
        "label.undo",
        "label.give-opinion",
        "label.double-check",
        "label.double-checked",
        "benchmark.assign",
        "class.merge",
        "class.split",
        "class.rename",
        "class.undo",
        "class.set-confused",
        "duplicate.resolve",
        "duplicate.undo",
        "library.reconcile-requested",
        "library.snapshot-requested",
        "train.requested",
        "train.cancel-requested",
        "train.search-requested",
        "model.evaluate-requested",
        "model.review-requested",
        "model.compare-requested",
        "model.export-requested",
        "model.compress-requested",
        "bulk.identify-requested",
        "bulk.vectors-requested",
        "dead-letter.replayed",
    ),
    "upstream": ("image.uploaded",),
    "bucket-notifier": ("bucket.notified",),
}
"""Who says what; every service may also say ``dead-letter.stored`` of a message it could not handle."""


def stream_of(subject: str) -> str:
    """Name of the stream that stores ``subject``.

    Raises:
        LookupError: no stream is declared for it.
    """
    for stream in STREAMS:
        if any(subject.startswith(s.removesuffix(">")) for s in stream.subjects):
            return stream.name
    raise LookupError(f"no stream stores subject {subject!r}; add its domain to contracts/subjects.py")


def consumer(durable: str) -> Consumer:
    """The declared consumer of that durable name.

    Raises:
        LookupError: it is not declared.
    """
    for declared in CONSUMERS:
        if declared.durable == durable:
            return declared
    raise LookupError(f"durable {durable!r} is not declared in contracts/subjects.py")
