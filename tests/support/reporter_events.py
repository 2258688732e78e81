"""Any sequence of events about a few things, so that they meet: strategies for property tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from contracts.commands import RequestSearch, RequestTraining
from contracts.events import (
    BenchmarkAssigned,
    BulkCompleted,
    BulkIdentified,
    CompressedVariant,
    DeadLetterReplayed,
    DeadLetterStored,
    DoubleChecked,
    DoubleCheckRequested,
    Gate,
    GateRule,
    Identification,
    ImageAccepted,
    ImageDeduplicated,
    ImageFlagged,
    ImageLabelled,
    ImageRejected,
    ImageRelabelled,
    ImageRepeated,
    ImageUnlabelled,
    ImageUploaded,
    ModelCompressed,
    ModelExported,
    ModelScored,
    ModelTrained,
    OpinionGiven,
    PairJudged,
    SearchCompleted,
    SetScore,
    SideCounts,
    SnapshotPacked,
    SnapshotProgressed,
    TaxonomyChanged,
    TrainCancelled,
    TrainFailed,
    TrainProgressed,
    TrialCompleted,
    VectorsComputed,
)
from contracts.message import Message
from contracts.taxonomy import Merge, Operation, Rename, Split
from contracts.training import Span, TrainOptions
from contracts.values import Box, Candidate, Flag, Measure, ObjectRef, Orientation, PairState, Suggestion

REF = ObjectRef(bucket="library", key="some/key", size=1, sha256="0" * 64)
BOX = Box(left=0, top=0, width=1, height=1)

moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
images = st.sampled_from([character * 64 for character in "abc"])
uploads = st.sampled_from(["upload-001", "upload-002", "upload-003"])
runs = st.sampled_from(["run-1", "run-2"])
versions = st.sampled_from(["001", "002"])
requests = st.sampled_from(["request-1", "request-2"])
labels = st.sampled_from(["otter", "flamingo/juvenile", "<script>", "Ω\x00", "🦊"])
revisions = st.integers(1, 3)
shares = st.one_of(st.none(), st.floats(0, 1))
counts = st.integers(0, 9)
people = st.sampled_from(["ann", "ben"])
turns = st.sampled_from(list(Orientation))
sets = st.sampled_from([None, "difficult", "our own"])
suggestions = st.one_of(
    st.none(),
    st.builds(
        Suggestion,
        model_version=versions,
        top=st.lists(
            st.builds(Candidate, label=labels, confidence=st.floats(0, 100)), min_size=1, max_size=3
        ).map(tuple),
    ),
)


def _built(kind: type[Message], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    return st.builds(kind, **fields)


_LABEL = {
    "image_id": images,
    "revision": revisions,
    "label": labels,
    "kind": st.sampled_from(["class", "unknown"]),
    "by": people,
    "labelled_at": moments,
    "suggestion": suggestions,
}
any_event: st.SearchStrategy[Message] = st.one_of(
    _built(
        ImageUploaded,
        upload_id=uploads,
        object=st.just(REF),
        file_name=labels,
        uploaded_at=moments,
        label=st.one_of(st.none(), labels),
    ),
    _built(
        ImageAccepted,
        image_id=images,
        upload_id=uploads,
        file_name=labels,
        original=st.just(REF),
        normalised=st.just(REF),
        thumbnail=st.just(REF),
        content=st.just(BOX),
        width_px=counts,
        height_px=counts,
        image_format=st.just("PNG"),
        source=st.sampled_from(["real", "staged"]),
        accepted_at=moments,
        benchmark=sets,
        tags=st.sampled_from([(), ("summer", "gate 4")]),
        quality=st.sampled_from([(), (Measure(name="sharpness", value=0.5),)]),
    ),
    _built(
        ImageRepeated,
        upload_id=uploads,
        image_id=images,
        file_name=labels,
        same=st.sampled_from(["bytes", "pixels"]),
        repeated_at=moments,
    ),
    _built(
        ImageRejected,
        upload_id=uploads,
        file_name=labels,
        code=st.sampled_from(["empty", "damaged"]),
        detail=labels,
        rejected_at=moments,
    ),
    _built(
        ImageDeduplicated,
        image_id=images,
        revision=revisions,
        verdict=st.sampled_from(["unique", "near", "burst"]),
        group=images,
        orientation=turns,
        by=st.one_of(st.none(), people),
        detector=st.just("phash"),
        deduplicated_at=moments,
    ),
    _built(
        PairJudged,
        image_id=images,
        other_id=images,
        revision=revisions,
        state=st.sampled_from(list(PairState)),
        orientation=turns,
        similarity=st.one_of(st.none(), st.floats(-1, 1)),
        detector=st.just("phash"),
        suggested_keep=images,
        keep=st.one_of(st.none(), images),
        by=st.one_of(st.none(), people),
        reason=st.one_of(st.none(), labels),
        judged_at=moments,
    ),
    _built(
        VectorsComputed,
        run_id=runs,
        encoder=labels,
        model_version=st.one_of(st.none(), versions),
        snapshot_id=requests,
        images=counts,
        dimensions=revisions,
        vectors=st.just(REF),
        computed_at=moments,
    ),
    _built(ImageLabelled, **_LABEL),
    _built(ImageRelabelled, **_LABEL, previous_label=labels),
    _built(
        ImageUnlabelled,
        image_id=images,
        revision=revisions,
        previous_label=labels,
        by=people,
        unlabelled_at=moments,
    ),
    _built(
        ImageFlagged,
        image_id=images,
        revision=revisions,
        flags=st.lists(
            st.builds(
                Flag,
                flag=st.sampled_from(["blurry", "dark"]),
                value=st.floats(allow_nan=False),
                threshold=st.floats(0, 1),
            ),
            max_size=2,
            unique_by=lambda flag: flag.flag,
        ).map(tuple),
        flagged_at=moments,
    ),
    _built(
        OpinionGiven,
        image_id=images,
        revision=revisions,
        label=labels,
        kind=st.just("class"),
        by=people,
        agrees=st.booleans(),
        given_at=moments,
    ),
    _built(
        DoubleCheckRequested,
        image_id=images,
        revision=revisions,
        reason=labels,
        by=people,
        requested_at=moments,
    ),
    _built(
        DoubleChecked,
        image_id=images,
        revision=revisions,
        verdict=st.sampled_from(["keep", "relabel", "remove", "unsure"]),
        by=people,
        checked_at=moments,
    ),
    _built(
        BenchmarkAssigned,
        image_id=images,
        revision=revisions,
        benchmark=sets,
        by=people,
        assigned_at=moments,
    ),
    _built(
        TaxonomyChanged,
        version=revisions,
        operation=st.builds(
            Operation,
            version=revisions,
            change=st.sampled_from(
                [
                    Merge(into="chimp-bonobo", members=("chimp", "bonobo")),
                    Split(class_name="chimp-bonobo"),
                    Rename(old="flamingo", new="greater flamingo"),
                ]
            ),
            by=people,
            at=moments,
        ),
        images=counts,
        changed_at=moments,
    ),
    _built(
        SnapshotProgressed,
        request_id=requests,
        snapshot_id=requests,
        shards=counts,
        shards_done=counts,
        images=counts,
        images_done=counts,
        size_bytes=counts,
        progressed_at=moments,
    ),
    _built(
        SnapshotPacked,
        request_id=requests,
        snapshot_id=requests,
        manifest=st.just(REF),
        images=counts,
        labelled=counts,
        unlabelled=counts,
        classes=counts,
        shards=counts,
        size_bytes=counts,
        image_size_px=counts,
        packed_at=moments,
    ),
    _built(
        RequestSearch,
        search_id=runs,
        snapshot_id=requests,
        space=st.just({"flip": (True, False), "dropout": Span(low=0, high=0.5)}),
        by=people,
        requested_at=moments,
    ),
    _built(
        SearchCompleted,
        search_id=runs,
        snapshot_id=requests,
        trials=counts,
        pruned=counts,
        failed=counts,
        best_val_accuracy=shares,
        best_options=st.one_of(st.none(), st.just(TrainOptions())),
        report=st.just(REF),
        page=st.just(REF),
        completed_at=moments,
    ),
    _built(RequestTraining, run_id=runs, snapshot_id=requests, by=people, requested_at=moments),
    _built(
        TrainProgressed,
        run_id=runs,
        epoch=revisions,
        epochs=revisions,
        loss=st.floats(allow_nan=True, allow_infinity=True),
        accuracy=st.floats(0, 1),
        val_accuracy=shares,
        images_per_s=st.floats(0, 10),
        eta_s=st.floats(0, 10),
        progressed_at=moments,
    ),
    _built(TrainFailed, run_id=runs, error=labels, remedy=labels, failed_at=moments),
    _built(
        TrainCancelled,
        run_id=runs,
        by=people,
        reason=st.one_of(st.none(), labels),
        epochs=counts,
        cancelled_at=moments,
    ),
    _built(
        TrialCompleted,
        run_id=runs,
        snapshot_id=requests,
        network=st.just("small_cnn"),
        epochs=counts,
        best_epoch=counts,
        best_val_accuracy=st.floats(0, 1),
        history=st.just(REF),
        completed_at=moments,
    ),
    _built(
        ModelTrained,
        run_id=runs,
        model_version=versions,
        snapshot_id=requests,
        network=st.just("small_cnn"),
        image_size_px=counts,
        classes=st.just(("a", "b")),
        model=st.just(REF),
        dataset=st.just(REF),
        history=st.just(REF),
        images=st.builds(
            SideCounts, train=counts, validation=counts, test=counts, benchmark=counts, out=counts
        ),
        epochs=counts,
        best_epoch=counts,
        trained_at=moments,
    ),
    _built(
        ModelScored,
        request_id=requests,
        model_version=versions,
        threshold=st.just(95.0),
        sets=st.lists(
            st.builds(SetScore, name=st.sampled_from(["test", "train"]), images=counts, accuracy=shares),
            max_size=2,
            unique_by=lambda score: score.name,
        ).map(tuple),
        gate=st.builds(
            Gate,
            verdict=st.sampled_from(["go", "no-go"]),
            rules=st.lists(
                st.builds(
                    GateRule,
                    rule=st.sampled_from(["one", "two"]),
                    passed=st.one_of(st.none(), st.booleans()),
                    sentence=labels,
                ),
                max_size=2,
                unique_by=lambda rule: rule.rule,
            ).map(tuple),
        ),
        report=st.just(REF),
        scores=st.just(REF),
        scored_at=moments,
    ),
    _built(
        ModelExported,
        request_id=requests,
        model_version=versions,
        snapshot_id=requests,
        manifest=st.just(REF),
        model=st.just(REF),
        image_size_px=counts,
        classes=st.just(("a",)),
        exported_at=moments,
    ),
    _built(
        ModelCompressed,
        request_id=requests,
        model_version=versions,
        test_images=counts,
        variants=st.lists(
            st.builds(
                CompressedVariant,
                name=st.sampled_from(["litert", "int8", "pruned"]),
                file=st.just(REF),
                size_ratio=st.floats(0, 1),
                accuracy=st.floats(0, 1),
                accuracy_delta=st.floats(-1, 1),
                agreement=st.floats(0, 1),
                images_per_s=st.floats(1, 100),
                speed_ratio=st.floats(0, 9),
                note=st.one_of(st.none(), labels),
            ),
            max_size=3,
            unique_by=lambda variant: variant.name,
        ).map(tuple),
        compressed_at=moments,
        accuracy=shares,
    ),
    _built(
        BulkIdentified,
        run_id=runs,
        page=revisions,
        model_version=versions,
        identified_at=moments,
        results=st.lists(
            st.builds(
                Identification,
                image_id=images,
                top=st.lists(
                    st.builds(Candidate, label=labels, confidence=st.floats(0, 100)), min_size=1, max_size=3
                ).map(tuple),
            ),
            max_size=3,
            unique_by=lambda result: result.image_id,
        ).map(tuple),
    ),
    _built(
        BulkCompleted,
        run_id=runs,
        model_version=versions,
        snapshot_id=requests,
        identified=counts,
        above_threshold=counts,
        threshold=st.just(95.0),
        completed_at=moments,
    ),
    _built(
        DeadLetterStored,
        dead_letter_id=requests,
        service=people,
        durable=people,
        source_subject=labels,
        source_stream=people,
        source_seq=counts,
        reason=st.just("malformed"),
        error=labels,
        attempts=counts,
        body_base64=st.just(""),
        stored_at=moments,
    ),
    _built(DeadLetterReplayed, dead_letter_id=requests, by=people, replayed_at=moments),
)


def histories(max_size: int = 30) -> st.SearchStrategy[list[tuple[Message, int]]]:
    """Events with the sequence each has in its stream."""
    return st.lists(any_event, max_size=max_size).map(
        lambda events: [(event, seq) for seq, event in enumerate(events, 1)]
    )
