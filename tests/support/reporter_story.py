"""A library's life as events, and the thumbnails that go with it: the chain of the demo, in small."""

from __future__ import annotations

import functools
import hashlib
import io
import math
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from contracts.commands import RequestSearch, RequestTraining
from contracts.events import (
    BenchmarkAssigned,
    BulkCompleted,
    BulkIdentified,
    CompressedVariant,
    DeadLetterReason,
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
    ImageUploaded,
    ModelCompressed,
    ModelExported,
    ModelsCompared,
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
    TrainProgressed,
    TrialCompleted,
    VectorsComputed,
)
from contracts.message import Message
from contracts.taxonomy import Merge, Operation
from contracts.training import Span, TrainOptions
from contracts.values import (
    Box,
    Candidate,
    DuplicateVerdict,
    Flag,
    GateVerdict,
    LabelKind,
    ObjectRef,
    Orientation,
    PairState,
    QualityFlag,
    RejectCode,
)
from services.reporter.domain.projection import project_all
from services.reporter.store.writing import write
from services.runtime.database import Database, Unit
from services.runtime.objectstore import ObjectStore

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VARIANTS = 6
HOSTILE_LABEL = "<script>alert('label')</script>\"'><img src=x onerror=alert(1)>"
HOSTILE_NAME = "../../<b>evil</b>'\"&\u202e🦊.jpg"


def digest(text: str) -> str:
    """A SHA-256 that stands for ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()


def ref(bucket: str, key: str, data: bytes = b"x") -> ObjectRef:
    """A reference to ``data``, wherever it lies."""
    return ObjectRef(bucket=bucket, key=key, size=len(data), sha256=hashlib.sha256(data).hexdigest())


@functools.cache
def picture(label: int, variant: int) -> bytes:
    """A handwritten-looking digit as WebP, white on black; always the same bytes for the same digit."""
    chance = random.Random(label * 100 + variant)
    canvas = Image.new("L", (96, 96))
    glyph = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=66 + chance.randrange(14))
    glyph.text((48, 48), str(label), 255, font, anchor="mm", stroke_width=chance.randrange(3))
    turned = canvas.rotate(chance.uniform(-18, 18), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    turned.save(buffer, "WEBP", quality=70)
    return buffer.getvalue()


def thumbnail_ref(label: int, variant: int) -> ObjectRef:
    """Where ``store_thumbnails`` puts that picture."""
    data = picture(label, variant)
    return ref("library", f"thumbnails/{label}-{variant}.webp", data)


def store_thumbnails(store: ObjectStore) -> None:
    """Every picture the story refers to."""
    for label in range(len(LABELS)):
        for variant in range(VARIANTS):
            place = thumbnail_ref(label, variant)
            store.put(place.bucket, place.key, picture(label, variant), "image/webp")


class Story:
    """Builds the events; ``images`` per class, about a fifth of them without a label."""

    def __init__(self, images: int = 12, seed: int = 3) -> None:
        self.images = images
        self.chance = random.Random(seed)
        self.messages: list[Message] = []
        self.clock = NOON
        self.unlabelled: list[tuple[str, int]] = []
        self._thumbnails = {
            (label, variant): thumbnail_ref(label, variant)
            for label in range(len(LABELS))
            for variant in range(VARIANTS)
        }

    def tell(self) -> list[Message]:
        """All of it, in the order it happened."""
        self.open_zoo()
        self.troubles()
        self.models()
        self.care()
        self.look_alikes()
        return self.messages

    def say(self, message: Message) -> None:
        """The next event."""
        self.messages.append(message)

    def now(self) -> datetime:
        """Later than before."""
        self.clock += timedelta(seconds=self.chance.uniform(0.01, 0.2))
        return self.clock

    def open_zoo(self) -> None:
        """Images of every class; some near duplicates, some without a label."""
        for number in range(self.images):
            for label, name in enumerate(LABELS):
                # Later classes are rarer, as in every library.
                if number < self.images * (1.0 - label * 0.07):
                    self.image(f"{name}/{number:05d}.png", label, labelled=self.chance.random() > 0.2)

    def image(self, file_name: str, label: int, *, labelled: bool = True, given: str | None = None) -> str:
        """One image from its upload to its verdict; returns its id."""
        image_id, upload_id = digest(file_name), digest("up" + file_name)[:26]
        when, name = self.now(), given or LABELS[label]
        original = ref("incoming", f"{image_id}.png")
        self.say(
            ImageUploaded(
                upload_id=upload_id,
                object=original,
                file_name=file_name,
                uploaded_at=when,
                label=name if labelled else None,
                guest=f"guest-{self.chance.randrange(40)}",
            )
        )
        self.say(
            ImageAccepted(
                image_id=image_id,
                upload_id=upload_id,
                file_name=file_name,
                original=original,
                normalised=ref("library", f"{image_id}.png"),
                thumbnail=self._thumbnails[label, self.chance.randrange(VARIANTS)],
                content=Box(left=0, top=0, width=64, height=64),
                width_px=64,
                height_px=64,
                image_format="PNG",
                source="real" if self.chance.random() > 0.05 else "staged",
                accepted_at=self.now(),
            )
        )
        near = self.chance.random() < 0.03
        self.say(
            ImageDeduplicated(
                image_id=image_id,
                revision=1,
                group=image_id,
                detector="phash-64",
                deduplicated_at=self.now(),
                verdict=DuplicateVerdict.NEAR if near else DuplicateVerdict.UNIQUE,
                duplicate_of=digest("zero/00000.png") if near else None,
                distance_bits=4 if near else None,
            )
        )
        if labelled:
            self.say(
                ImageLabelled(
                    image_id=image_id,
                    revision=1,
                    label=name,
                    kind=LabelKind.CLASS,
                    by="upload",
                    labelled_at=self.now(),
                )
            )
        else:
            self.unlabelled.append((image_id, label))
        return image_id

    def troubles(self) -> None:
        """Exact duplicates, files that are no images, hostile names, a relabelled image, a dead letter."""
        for number in range(max(self.images // 3, 2)):
            upload_id, name = f"repeat-{number:08d}", f"again/{number:05d}.png"
            self.say(
                ImageUploaded(
                    upload_id=upload_id, object=ref("incoming", name), file_name=name, uploaded_at=self.now()
                )
            )
            self.say(
                ImageRepeated(
                    upload_id=upload_id,
                    image_id=digest("zero/00000.png"),
                    file_name=name,
                    same="bytes" if number % 2 else "pixels",
                    repeated_at=self.now(),
                )
            )
        rejections = (
            (
                "broken/holiday.jpg",
                RejectCode.DAMAGED,
                "the file ends after 12,288 of 80,412 bytes; upload it again",
            ),
            ("notes.jpg", RejectCode.NOT_AN_IMAGE, "the content is text, whatever the name says"),
            (
                "bomb.png",
                RejectCode.TOO_MANY_PIXELS,
                "40,000 x 40,000 pixels are more than the 100 million allowed",
            ),
            (
                "logo.svg",
                RejectCode.UNSUPPORTED_FORMAT,
                "SVG is a program, not a photo; send JPEG, PNG or WebP",
            ),
            (HOSTILE_NAME, RejectCode.EMPTY, "the file has no bytes"),
        )
        for number, (name, code, detail) in enumerate(rejections):
            upload_id = f"reject-{number:08d}"
            self.say(
                ImageUploaded(
                    upload_id=upload_id,
                    object=ref("incoming", f"r{number}"),
                    file_name=name,
                    uploaded_at=self.now(),
                )
            )
            self.say(
                ImageRejected(
                    upload_id=upload_id, file_name=name, code=code, detail=detail, rejected_at=self.now()
                )
            )
        self.image(HOSTILE_NAME, 9, given=HOSTILE_LABEL)
        self.say(
            ImageRelabelled(
                image_id=digest("one/00001.png"),
                revision=2,
                label="seven",
                kind=LabelKind.CLASS,
                by="ann",
                previous_label="one",
                reason="a seven without its bar",
                labelled_at=self.now(),
            )
        )
        self.say(
            DeadLetterStored(
                dead_letter_id=digest("letter")[:16],
                service="ingest",
                durable="ingest-labels",
                source_subject="menagerie.v1.label.assign",
                source_stream="LIBRARY",
                source_seq=7,
                reason=DeadLetterReason.MALFORMED,
                error="label.assign: image_id: String should match pattern "
                "'^[0-9a-f]{64}$' <script>alert('letter')</script>",
                attempts=1,
                body_base64="eyJpbWFnZV9pZCI6ICIuLi8ifQ==",
                stored_at=self.now(),
            )
        )

    def care(self) -> None:
        """What people do for their library: flags looked at, second opinions, benchmarks, a merge."""
        image, once = digest("one/00001.png"), {"image_id": digest("one/00001.png"), "revision": 1}
        blurry = Flag(flag=QualityFlag.BLURRY, value=11.5, threshold=40.0)
        self.say(ImageFlagged(**once, flags=(blurry,), flagged_at=self.now()))
        self.say(
            OpinionGiven(
                **once, label="one", kind="class", by="ben", current_label="seven", agrees=False,
                given_at=self.now(),
            )
        )  # fmt: skip
        self.say(DoubleCheckRequested(**once, reason="often confused", by="ann", requested_at=self.now()))
        self.say(DoubleChecked(**once, verdict="keep", by="ann", checked_at=self.now()))
        self.say(
            DoubleCheckRequested(
                image_id=image, revision=2, reason="odd-numbers was split", by="ann", requested_at=self.now()
            )
        )
        self.say(BenchmarkAssigned(**once, benchmark="most-common", by="ann", assigned_at=self.now()))
        merge = Merge(into="odd-numbers", members=("one", "seven"))
        operation = Operation(version=1, change=merge, by="ann", reason=HOSTILE_LABEL, at=self.now())
        self.say(TaxonomyChanged(version=1, operation=operation, images=20, changed_at=self.now()))
        self.say(
            SnapshotProgressed(
                request_id="request-snapshot-2", snapshot_id="snapshot-2", shards=2, shards_done=1, images=100,
                images_done=50, size_bytes=320_000, progressed_at=self.now(),
            )
        )  # fmt: skip

    def look_alikes(self) -> None:
        """A burst, pairs that wait, are decided and fall away, and the vectors that found one of them."""
        first, second, third, fourth = (digest(f"{name}/00000.png") for name in LABELS[:4])
        self.say(
            ImageDeduplicated(
                image_id=second, revision=2, verdict=DuplicateVerdict.BURST, group=first, detector="phash-256",
                deduplicated_at=self.now(),
            )
        )  # fmt: skip
        self.pair(first, second, 1, PairState.BURST, distance_bits=90)
        self.pair(first, third, 1, PairState.REVIEW, distance_bits=84)
        self.pair(
            first, fourth, 1, PairState.REVIEW, distance_bits=80, orientation=Orientation.FLIP_LEFT_RIGHT
        )
        self.pair(first, fourth, 2, PairState.DUPLICATE, keep=first, by="ann", request_id="resolve-1")
        self.say(
            ImageDeduplicated(
                image_id=fourth, revision=2, verdict=DuplicateVerdict.NEAR, group=first, duplicate_of=first,
                distance_bits=80, orientation=Orientation.FLIP_LEFT_RIGHT, by="ann", detector="phash-256",
                deduplicated_at=self.now(),
            )
        )  # fmt: skip
        self.pair(second, third, 1, PairState.REVIEW, similarity=0.93)
        self.pair(second, third, 2, PairState.NOT_DUPLICATE, by="ben", reason=HOSTILE_LABEL)
        self.pair(third, fourth, 1, PairState.REVIEW, similarity=0.91)
        self.pair(third, fourth, 2, PairState.CLOSED)
        self.say(
            VectorsComputed(
                run_id="vectors-002", encoder="small_cnn/002", model_version="002", snapshot_id="snapshot-2",
                images=100, dimensions=64, vectors=ref("models", "vectors/vectors-002.parquet"),
                computed_at=self.now(),
            )
        )  # fmt: skip

    def pair(self, one: str, other: str, revision: int, state: PairState, **fields: Any) -> None:
        """A judgement of two images, in the order their names stand in."""
        image_id, other_id = sorted((one, other))
        self.say(
            PairJudged(
                image_id=image_id, other_id=other_id, revision=revision, state=state, detector="phash-256",
                suggested_keep=one, judged_at=self.now(), **fields,
            )
        )  # fmt: skip

    def models(self) -> None:
        """Seven classes from scratch, then ten by fine-tuning, beside a trial from scratch."""
        first = self.snapshot("snapshot-1")
        self.run("first-run", first, base="scratch", epochs=30, best=0.968, pace=5.0)
        self.trained("first-run", "001", first, base=None, classes=7, epochs=30, best=0.968)
        self.scored("001", test=0.951, verdict=GateVerdict.NO_GO)
        second = self.snapshot("snapshot-2")
        self.run("trial-scratch", second, base="scratch", epochs=30, best=0.958, pace=6.0, trial=True)
        self.say(
            TrialCompleted(
                run_id="trial-scratch",
                snapshot_id=second,
                network="small_cnn",
                epochs=30,
                best_epoch=28,
                best_val_accuracy=0.958,
                history=ref("models", "runs/trial-scratch/history.json"),
                completed_at=self.now(),
            )
        )
        self.run("fine-tuning", second, base="001", epochs=20, best=0.981, pace=2.0)
        self.trained("fine-tuning", "002", second, base="001", classes=10, epochs=20, best=0.981)
        self.scored("002", test=0.974, verdict=GateVerdict.GO)
        self.compared("001", "002")
        self.say(
            ModelExported(
                request_id="export-002",
                model_version="002",
                snapshot_id=second,
                manifest=ref("models", "002/export.json"),
                model=ref("models", "002/model.keras"),
                image_size_px=64,
                classes=LABELS,
                exported_at=self.now(),
            )
        )
        self.identified("bulk-002", "002", second)
        self.improved("002", second)

    def improved(self, version: str, snapshot_id: str) -> None:
        """A search that found nothing better, and a smaller variant of the model."""
        options = TrainOptions(learning_rate=0.002)
        self.say(
            RequestSearch(
                search_id="search-rates", snapshot_id=snapshot_id, trials=4, by="ann", requested_at=self.now(),
                space={"learning_rate": Span(low=1e-4, high=1e-2, log=True)},
            )
        )  # fmt: skip
        self.say(
            SearchCompleted(
                search_id="search-rates", snapshot_id=snapshot_id, trials=4, pruned=1, failed=0,
                best_run_id="search-rates-2", best_val_accuracy=0.98, best_options=options,
                report=ref("reports", "searches/search-rates/report.json"),
                page=ref("reports", "searches/search-rates/page.html"), completed_at=self.now(),
            )
        )  # fmt: skip
        int8 = CompressedVariant(
            name="int8", file=ref("models", f"{version}/int8.tflite"), size_ratio=0.27, accuracy=0.972,
            accuracy_delta=-0.002, agreement=0.994, images_per_s=2100.0, speed_ratio=1.8,
        )  # fmt: skip
        self.say(
            ModelCompressed(
                request_id="compress-1", model_version=version, test_images=500, variants=(int8,),
                compressed_at=self.now(), accuracy=0.974,
            )
        )  # fmt: skip

    def snapshot(self, snapshot_id: str) -> str:
        """Packed; returns its id."""
        count = self.images * len(LABELS)
        self.say(
            SnapshotPacked(
                request_id=f"request-{snapshot_id}",
                snapshot_id=snapshot_id,
                manifest=ref("snapshots", f"{snapshot_id}/manifest.parquet"),
                images=count,
                labelled=count - len(self.unlabelled),
                unlabelled=len(self.unlabelled),
                classes=10,
                shards=2,
                size_bytes=count * 3200,
                image_size_px=64,
                packed_at=self.now(),
            )
        )
        return snapshot_id

    def run(
        self,
        run_id: str,
        snapshot_id: str,
        *,
        base: str,
        epochs: int,
        best: float,
        pace: float,
        trial: bool = False,
        until: int | None = None,
    ) -> None:
        """The request and a curve that nears ``best`` with a time constant of ``pace`` epochs."""
        self.say(
            RequestTraining(
                run_id=run_id,
                snapshot_id=snapshot_id,
                base=base,
                by="ann",
                trial=trial,
                options=TrainOptions(epochs=epochs),
                requested_at=self.now(),
            )
        )
        for epoch in range(1, (until or epochs) + 1):
            value = best - (best - 0.42) * math.exp(-epoch / pace) + self.chance.uniform(-0.012, 0.006)
            self.say(
                TrainProgressed(
                    run_id=run_id,
                    epoch=epoch,
                    epochs=epochs,
                    loss=2.2 * math.exp(-epoch / pace) + 0.05,
                    accuracy=min(value + 0.015, 1.0),
                    val_loss=0.2,
                    val_accuracy=value,
                    images_per_s=812.0,
                    eta_s=(epochs - epoch) * 2.4,
                    progressed_at=self.now(),
                )
            )

    def trained(
        self,
        run_id: str,
        version: str,
        snapshot_id: str,
        *,
        base: str | None,
        classes: int,
        epochs: int,
        best: float,
    ) -> None:
        """The model is registered."""
        self.say(
            ModelTrained(
                run_id=run_id,
                model_version=version,
                base_version=base,
                snapshot_id=snapshot_id,
                network="small_cnn",
                image_size_px=64,
                classes=LABELS[:classes],
                model=ref("models", f"{version}/model.keras"),
                dataset=ref("models", f"runs/{run_id}/dataset.parquet"),
                history=ref("models", f"runs/{run_id}/history.json"),
                images=SideCounts(
                    train=classes * 112, validation=classes * 13, test=classes * 240, benchmark=60, out=90
                ),
                epochs=epochs,
                best_epoch=epochs - 3,
                best_val_accuracy=best,
                trained_at=self.now(),
            )
        )

    def scored(self, version: str, *, test: float, verdict: GateVerdict) -> None:
        """Every set of the model, and the gate's sentences."""
        go = verdict is GateVerdict.GO
        sets = (
            SetScore(
                name="train",
                images=1120,
                accuracy=0.994,
                f1_macro=0.994,
                true_positives_above=0.957,
                false_positives_above=0.001,
            ),
            SetScore(
                name="validation",
                images=130,
                accuracy=test + 0.005,
                f1_macro=test + 0.004,
                true_positives_above=0.91,
                false_positives_above=0.008,
            ),
            SetScore(
                name="test",
                images=2400,
                accuracy=test,
                f1_macro=test - 0.002,
                true_positives_above=0.893,
                false_positives_above=0.006,
            ),
            SetScore(name="out-of-scope", images=60, false_positives_above=0.05 if go else 0.217),
        )
        rules = (
            GateRule(
                rule="difficult-true",
                passed=None,
                sentence="difficult benchmark: the library has none, so nothing was measured",
            ),
            GateRule(
                rule="out-of-scope-false",
                passed=go,
                sentence="out-of-scope benchmark: 5.0 % of 60 images score 95 or above, at most 10 % may"
                if go
                else "out-of-scope benchmark: 21.7 % of 60 images score 95 or above, at most 10 % may",
            ),
        )
        self.say(
            ModelScored(
                request_id=f"score-{version}",
                model_version=version,
                threshold=95.0,
                sets=sets,
                gate=Gate(verdict=verdict, rules=rules),
                report=ref("reports", f"{version}/report.json"),
                scores=ref("reports", f"{version}/scores.parquet"),
                page=ref("reports", f"{version}/page.html"),
                scored_at=self.now(),
            )
        )

    def compared(self, model_a: str, model_b: str) -> None:
        """What the second model fixes and breaks of the first one's answers."""
        self.say(
            ModelsCompared(
                request_id=f"compare-{model_a}-{model_b}", model_a=model_a, model_b=model_b, dataset_of=model_b,
                taxonomy_version=0, images=100, both_right=80, fixed=12, broken=3, both_wrong=5,
                accuracy_a=0.83, accuracy_b=0.92, p_value=0.035, learned_from=0, nobodys=0, sets=(),
                report=ref("reports", f"{model_b}/compared.parquet"),
                summary=ref("reports", f"{model_b}/compared.json"), compared_at=self.now(),
            )
        )  # fmt: skip

    def identified(self, run_id: str, version: str, snapshot_id: str, page_size: int = 50) -> None:
        """Every image without a label, in pages."""
        above, results = 0, []
        for image_id, label in self.unlabelled:
            confidence = 100.0 - min(self.chance.expovariate(0.5), 60.0)
            above += confidence >= 95.0
            other = LABELS[(label + 3) % len(LABELS)]
            results.append(
                Identification(
                    image_id=image_id,
                    top=(
                        Candidate(label=LABELS[label], confidence=confidence),
                        Candidate(label=other, confidence=(100.0 - confidence) * 0.8),
                    ),
                )
            )
        for page, start in enumerate(range(0, len(results), page_size), 1):
            self.say(
                BulkIdentified(
                    run_id=run_id,
                    page=page,
                    model_version=version,
                    identified_at=self.now(),
                    results=tuple(results[start : start + page_size]),
                )
            )
        self.say(
            BulkCompleted(
                run_id=run_id,
                model_version=version,
                snapshot_id=snapshot_id,
                identified=len(results),
                above_threshold=above,
                threshold=95.0,
                completed_at=self.now(),
            )
        )


def stored(messages: Iterable[Message]) -> list[tuple[Message, int]]:
    """Each message with the sequence its stream gives it."""
    places: dict[str, int] = {}
    pairs = []
    for message in messages:
        stream = message.stream()
        places[stream] = places.get(stream, 0) + 1
        pairs.append((message, places[stream]))
    return pairs


async def project_into(database: Database, pairs: list[tuple[Message, int]], batch: int = 256) -> None:
    """Write events as the handlers do, batch by batch."""
    for start in range(0, len(pairs), batch):
        await database.run(writing(pairs[start : start + batch]))


def writing(pairs: list[tuple[Message, int]]) -> Any:
    """The work of one batch."""

    def work(unit: Unit) -> None:
        write(unit.connection, project_all(pairs))

    return work


def shuffled_with_repeats(pairs: list[tuple[Message, int]], seed: int) -> Iterator[tuple[Message, int]]:
    """Any order, some of them twice."""
    chance = random.Random(seed)
    mixed = pairs + chance.sample(pairs, len(pairs) // 3)
    chance.shuffle(mixed)
    return iter(mixed)
