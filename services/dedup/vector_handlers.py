"""bulk.vectors-computed -> pairs of images that look alike to a network -> proposals."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa

from contracts.events import VectorsComputed
from contracts.values import DuplicateVerdict, PairState
from services.dedup.domain.pairs import same_burst
from services.dedup.domain.thresholds import Detector, Threshold, Verdict, applying, learn
from services.dedup.judging import Judging, ProposedPair, VerdictPair, verdict_pairs
from services.dedup.judging.judging import WRITERS
from services.dedup.settings import DedupSettings
from services.dedup.store import vectors as store
from services.dedup.store.images import StoredImage, by_id, known_images
from services.dedup.store.vectors import VectorFile
from services.dedup.vectors.files import NotVectors, VectorCache, Vectors
from services.dedup.vectors.proposing import Facts, is_automatic, proposed, reviewed_at_most
from services.dedup.vectors.search import Alike, alike, cosines
from services.runtime.database import Unit, serialise
from services.runtime.delivery import Delivery, Unprocessable
from services.runtime.objectstore import ObjectDamaged, ObjectMissing
from services.runtime.service import Service

PATIENT_ATTEMPTS = 3
"""So often a file waits for images that dedup has not heard of; then it goes without them."""


class ImagesNotYetKnown(Exception):
    """The vectors came before their images."""


@dataclass(frozen=True)
class _Work:
    """A file to compare with those that are; ``said`` is what people said of pairs."""

    file: VectorFile
    compared: Sequence[VectorFile]
    said: Sequence[VerdictPair]


@dataclass(frozen=True)
class _Found:
    """``judged`` has the similarity of the pairs that people spoke of."""

    images: int
    pairs: Sequence[Alike]
    judged: dict[tuple[str, str], float]


class VectorHandler:
    """Durable ``dedup-vectors``. Every file of the newest encoder is compared once with itself and with all
    compared before it; its proposals, the thresholds and the note that it is done are one transaction.
    """

    def __init__(self, service: Service, judging: Judging, settings: DedupSettings) -> None:
        self._service = service
        self._judging = judging
        self._settings = settings
        self._cache = VectorCache(service.store, settings.work_dir / "vectors")
        self._one_at_a_time = asyncio.Lock()  # each fills a core and 150 MB

    async def computed(self, delivery: Delivery[VectorsComputed]) -> None:
        """Compare the file, and any other of its encoder that was passed over."""
        event, patient = delivery.message, delivery.attempt <= PATIENT_ATTEMPTS
        database = self._service.database
        async with self._one_at_a_time:
            await database.run(partial(_note, event=event))
            waiting = await database.read(lambda c: _waiting(c, event))
            if waiting is None:
                self._service.log.info("vectors.outdated", run_id=event.run_id, encoder=event.encoder)
                return
            for file in waiting:
                try:
                    await self._compare(file, patient=patient)
                except (ObjectMissing, ObjectDamaged, NotVectors, ImagesNotYetKnown) as error:
                    if file.run_id != event.run_id:  # its own message tells of it
                        self._service.log.warning("vectors.passed-over", run_id=file.run_id, error=str(error))
                        continue
                    if isinstance(error, NotVectors):
                        await database.run(lambda unit: store.forget_file(unit.connection, event.run_id))
                        raise Unprocessable(str(error)) from error
                    raise

    async def _compare(self, file: VectorFile, *, patient: bool) -> None:
        """Until its pairs are found among all files that are compared at the moment of writing."""
        database, done = self._service.database, None
        while done is None:
            work = await database.read(lambda c: _work(c, file))
            new, *older = await asyncio.to_thread(self._open, work)
            if patient:
                await database.read(partial(_wait_for_images, vectors=new, run_id=file.run_id))
            found = await asyncio.to_thread(self._search, work, new, older)
            propose = partial(self._propose, work=work, found=found, at=datetime.now(UTC))
            done = await database.run(propose)
        self._service.log.info(
            "vectors.compared", run_id=file.run_id, images=found.images, alike=len(found.pairs), changed=done
        )

    def _open(self, work: _Work) -> list[Vectors]:
        files = [work.file.ref, *(file.ref for file in work.compared)]
        self._cache.keep_only(files)
        opened = [self._cache.open(ref) for ref in files]
        if len({vectors.rows.shape[1] for vectors in opened}) > 1:
            raise NotVectors(
                f"{files[0].bucket}/{files[0].key} has vectors of {opened[0].rows.shape[1]} dimensions, "
                f"unlike others of {work.file.encoder!r}; an encoder that changed needs another name"
            )
        return opened

    def _search(self, work: _Work, new: Vectors, older: Sequence[Vectors]) -> _Found:
        pairs = alike(new, older, self._settings.vector_review_similarity)
        keys = ((pair.image_id, pair.other_id) for pair in work.said)
        return _Found(len(new), pairs, cosines([*older, new], keys))

    def _propose(self, unit: Unit, work: _Work, found: _Found, at: datetime) -> int | None:
        """Returns how many pairs changed; None: other files were compared meanwhile, so search again."""
        connection, encoder = unit.connection, work.file.encoder
        serialise(connection, WRITERS)
        if store.newest_encoder(connection) != encoder or _is_compared(connection, work.file):
            return 0
        if store.files_of(connection, encoder, compared=True) != work.compared:
            return None
        learnt = self._learn(connection, encoder, work.said, found)
        before = store.open_proposals(connection)
        images = {i.image_id: i for i in by_id(connection, {x for p in found.pairs for x in p[:2]})}
        facts = _facts(connection, [pair[:2] for pair in found.pairs], images)
        most = reviewed_at_most(found.images, self._settings.vector_review_per_1000)
        offers = {
            pair[:2]: ProposedPair(*pair[:2], pair.similarity, state)
            for pair, state in proposed(found.pairs, facts, learnt, most)
        }
        offers = _judged_anew(connection, before.pop(encoder, []), learnt) | offers
        for outdated in (pair for pairs in before.values() for pair in pairs):
            offers.setdefault(outdated[:2], outdated._replace(state=PairState.CLOSED))
        store.mark_compared(connection, work.file)
        return self._judging.propose(unit, offers.values(), encoder, at)

    def _learn(
        self, connection: sa.Connection, encoder: str, said: Sequence[VerdictPair], found: _Found
    ) -> list[Threshold]:
        """From all that people said so far, whichever detector showed it to them."""
        detector = Detector(encoder, self._settings.vector_review_similarity, rising=True)
        scored = ((pair, found.judged.get((pair.image_id, pair.other_id))) for pair in said)
        learnt = learn(detector, _verdicts(scored))
        store.save_thresholds(connection, learnt)
        return learnt


def _note(unit: Unit, event: VectorsComputed) -> None:
    serialise(unit.connection, WRITERS)  # two replicas must not count to the same number
    store.note_file(unit.connection, event)


def _waiting(connection: sa.Connection, event: VectorsComputed) -> list[VectorFile] | None:
    """Files to compare, the event's own first; None: a newer encoder has replaced this one."""
    if store.newest_encoder(connection) != event.encoder:
        return None
    waiting = store.files_of(connection, event.encoder, compared=False)
    return sorted(waiting, key=lambda file: (file.run_id != event.run_id, file.number))


def _work(connection: sa.Connection, file: VectorFile) -> _Work:
    compared = store.files_of(connection, file.encoder, compared=True)
    return _Work(file, [other for other in compared if other != file], verdict_pairs(connection))


def _wait_for_images(connection: sa.Connection, vectors: Vectors, run_id: str) -> None:
    image_ids = [image_id.decode() for image_id in vectors.image_ids]
    unknown = len(image_ids) - len(known_images(connection, image_ids))
    if unknown:
        raise ImagesNotYetKnown(f"run {run_id} has vectors of {unknown} images that dedup does not know yet")


def _is_compared(connection: sa.Connection, file: VectorFile) -> bool:
    return file in store.files_of(connection, file.encoder, compared=True)


def _verdicts(scored: Iterable[tuple[VerdictPair, float | None]]) -> list[Verdict]:
    return [
        Verdict(
            pair.image_id,
            pair.other_id,
            pair.label if pair.label == pair.other_label else None,
            score,
            pair.duplicate,
        )
        for pair, score in scored
        if score is not None
    ]


def _facts(
    connection: sa.Connection, pairs: Iterable[tuple[str, str]], images: dict[str, StoredImage]
) -> dict[tuple[str, str], Facts]:
    classes = store.classes_of(connection, images)
    facts = {}
    for one_id, other_id in pairs:
        if one_id not in images or other_id not in images:
            continue
        one, other = images[one_id], images[other_id]
        of_both = {classes.get(one_id), classes.get(other_id)}
        facts[one_id, other_id] = Facts(
            class_name=of_both.pop() if len(of_both) == 1 else None,
            settled=_settled(one, other),
            burst=same_burst(one.arrival.moment, other.arrival.moment),
            plain=any(image.arrival.fingerprint.hash is None for image in (one, other)),
        )
    return facts


def _settled(one: StoredImage, other: StoredImage) -> bool:
    if one.judgement is None or other.judgement is None or one.judgement.group != other.judgement.group:
        return False
    return DuplicateVerdict.NEAR in {one.judgement.verdict, other.judgement.verdict}


def _judged_anew(
    connection: sa.Connection, proposals: Sequence[ProposedPair], learnt: Sequence[Threshold]
) -> dict[tuple[str, str], ProposedPair]:
    """Open proposals of the same encoder, as far as thresholds that moved make another state of them."""
    images = {i.image_id: i for i in by_id(connection, {x for pair in proposals for x in pair[:2]})}
    facts = _facts(connection, [pair[:2] for pair in proposals], images)
    changed = {}
    for pair in proposals:
        known = facts.get(pair[:2], Facts(plain=True))
        automatic = is_automatic(pair.similarity, known, applying(learnt, known.class_name))
        state = PairState.AUTOMATIC if automatic else PairState.REVIEW
        if state is not pair.state:
            changed[pair[:2]] = pair._replace(state=state)
    return changed
