"""Dedup's judging on a database, without a broker: what is asked of it is asked of the model as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from contracts.commands import ResolveDuplicate, UndoDuplicate
from contracts.values import DuplicateVerdict, LabelKind, PairState
from services.dedup.domain.alike import Likeness, Limits
from services.dedup.domain.groups import Judgement
from services.dedup.judging import Judged, Judging, ProposedPair
from services.dedup.resolving import Resolving
from services.dedup.store import metadata
from services.dedup.store.images import Arrival, judgement_of
from services.dedup.store.labels import LabelNews
from services.dedup.store.tables import pair, verdict
from services.runtime.database import Unit, make_engine
from tests.support.dedup_model import Model, seen

AT = datetime(2026, 11, 21, tzinfo=UTC)
LIMITS = Limits(
    automatic_bits=1, review_bits=2, turned_automatic_bits=1, turned_review_bits=2, candidate_bits=2
)
DETECTOR = "vectors/1"
T = TypeVar("T")


@contextmanager
def database(url: str | None = None) -> Iterator[sa.Engine]:
    """An empty one, in memory unless there is a ``url``."""
    engine = make_engine(url) if url else sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    metadata.create_all(engine)
    try:
        yield engine
    finally:
        engine.dispose()


class Desk:
    """One dedup process, and the model of what was said to it."""

    def __init__(self, engine: sa.Engine, work_dir: Path | None = None, limits: Limits = LIMITS) -> None:
        self.engine = engine
        self.work_dir = work_dir
        self.model = Model(limits)
        self._requests = 0
        self._revisions: dict[str, int] = {}
        self.start(limits)

    def start(self, limits: Limits | None = None) -> None:
        """As after a restart of the process."""
        self.model.limits = limits or self.model.limits
        self.judging = Judging(self.model.limits)
        self.resolving = Resolving(self.judging)
        self.do(lambda unit: self.judging.open(unit, self.work_dir or Path("/proc/nowhere")))
        while self.do(lambda unit: self.judging.recalibrate(unit, AT, images=3)):
            pass

    def stop(self) -> None:
        """Let go of the log."""
        self.judging.close()

    def do(self, work: Callable[[Unit], T]) -> T:
        """One transaction."""
        with self.engine.connect().execution_options(immediate=True) as connection, connection.begin():
            unit = Unit(connection, "dedup")
            done = work(unit)
            unit.flush(metadata, "test")
        return done

    def accept(self, *arrivals: Arrival) -> Judged:
        """Images arrive together."""
        for arrival in arrivals:
            self.model.images.setdefault(arrival.image_id, arrival)
        return self.do(lambda unit: self.judging.accept(unit, arrivals, AT))

    def label(self, *kinds: tuple[str, LabelKind | None]) -> Judged:
        """Images get labels, or lose them."""
        news = []
        for image_id, kind in kinds:
            self._revisions[image_id] = self._revisions.get(image_id, 0) + 1
            news.append(LabelNews(image_id, self._revisions[image_id], kind and "label", kind))
            (self.model.rejected.add if kind is LabelKind.REJECTED else self.model.rejected.discard)(image_id)
        return self.do(lambda unit: self.judging.label(unit, news, AT))

    def reject(self, *arrivals: Arrival) -> Judged:
        """A person takes images out of use."""
        return self.label(*((arrival.image_id, LabelKind.REJECTED) for arrival in arrivals))

    def bring_back(self, *arrivals: Arrival) -> Judged:
        """The label is taken away."""
        return self.label(*((arrival.image_id, None) for arrival in arrivals))

    def resolve(
        self,
        one: Arrival,
        other: Arrival,
        keep: Arrival | None = None,
        minute: int | None = None,
        **more: Any,
    ) -> ResolveDuplicate:
        """A person's word; returns the command."""
        self._requests += 1
        fields: dict[str, Any] = {
            "request_id": f"request-{self._requests:04}",
            "image_id": one.image_id,
            "other_id": other.image_id,
            "keep": keep.image_id if keep else None,
            "by": "ann",
            "requested_at": AT + timedelta(minutes=self._requests if minute is None else minute),
        }
        command = ResolveDuplicate(**(fields | more))
        self.do(lambda unit: self.resolving.perform(unit, command, AT))
        self.model.resolutions.append(command)
        return command

    def undo(self, command: ResolveDuplicate) -> UndoDuplicate:
        """It is taken back; returns the command that did."""
        self._requests += 1
        undo = UndoDuplicate(
            request_id=f"request-{self._requests:04}", undoes=command.request_id, by="ann", requested_at=AT
        )
        self.do(lambda unit: self.resolving.perform(unit, undo, AT))
        self.model.undone.add(command.request_id)
        return undo

    def propose(self, *offers: tuple[Arrival, Arrival, PairState, float]) -> int:
        """Similarity vectors say something of pairs."""
        proposed = [ProposedPair(a.image_id, b.image_id, near, state) for a, b, state, near in offers]
        for one, other, state, near in offers:
            key = (min(one.image_id, other.image_id), max(one.image_id, other.image_id))
            if not self.model.images.keys() >= set(key):
                continue
            if state is PairState.CLOSED:
                self.model.proposals.pop(key, None)
            elif (
                key not in self.model.words()
                and self.model.rejected.isdisjoint(key)
                and seen(one, other, self.model.limits).likeness is not Likeness.AUTOMATIC
            ):
                self.model.proposals[key] = (state, near)
        return self.do(lambda unit: self.judging.propose(unit, proposed, DETECTOR, AT))

    def verdicts(self) -> dict[str, Judgement]:
        """As stored."""
        with self.engine.connect() as connection:
            return {row.image_id: judgement_of(row) for row in connection.execute(sa.select(verdict))}

    def verdict_of(self, arrival: Arrival) -> tuple[DuplicateVerdict, str, str | None]:
        """Verdict, group and original of one image."""
        found = self.verdicts()[arrival.image_id]
        return found.verdict, found.group, found.duplicate_of

    def state_of(self, one: Arrival, other: Arrival) -> PairState | None:
        """Of the pair; None when there is none."""
        key = (min(one.image_id, other.image_id), max(one.image_id, other.image_id))
        return self.pairs().get(key, (None,))[0]

    def pairs(self) -> dict[tuple[str, str], tuple[PairState, bool]]:
        """State of every pair that is not closed, and whether it is listed."""
        with self.engine.connect() as connection:
            return {
                (row.image_id, row.other_id): (PairState(row.state), row.listed)
                for row in connection.execute(sa.select(pair))
                if row.state != PairState.CLOSED
            }

    def said(self) -> list[str]:
        """Ids of all messages, in order."""
        with self.engine.connect() as connection:
            outbox = metadata.tables["outbox"]
            return list(connection.scalars(sa.select(outbox.c.message_id).order_by(outbox.c.outbox_id)))

    def check(self) -> None:
        """What is stored is what follows from what was said, and each revision was said once."""
        assert self.verdicts() == self.model.verdicts()
        assert self.pairs() == self.model.pairs()
        with self.engine.connect() as connection:
            rows: Iterable[Any] = connection.execute(sa.select(verdict.c.revision))
            made = sum(row.revision for row in rows)
            made += sum(row.revision for row in connection.execute(sa.select(pair.c.revision)))
        assert made == len(self.said()) == len(set(self.said()))
