"""Arrivals, labels, people's words and proposals, in any order: the verdicts of the rules, and nothing else."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.commands import ResolveDuplicate
from contracts.values import LabelKind, Orientation, PairState
from services.dedup.domain.alike import Limits
from services.dedup.store.images import Arrival
from tests.support.dedup_desk import AT, LIMITS, Desk, database
from tests.support.dedup_model import image

WIDE = Limits(
    automatic_bits=2, review_bits=3, turned_automatic_bits=1, turned_review_bits=2, candidate_bits=2
)
SLOWLY_CHANGING = [0b0, 0b1, 0b11, 0b111, 0b1111, 0b11111, 0b111111, 0b1111111, 0b110, 0b1010101, None]
"""Chains are what is difficult."""
HAPPENINGS = ["accept"] * 6 + [
    "label",
    "label",
    "resolve",
    "resolve",
    "undo",
    "propose",
    "propose",
    "restart",
]
STEPS, BATCH = 25, 4


class Story:
    """Chooses what happens next; the seed makes it the same every time."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk, self.random = desk, Random(seed)
        guests = self.random.choice([["ann"], ["ann", "ann", "bob", None]])
        library = [self._image(upload, guests) for upload in range(self.random.randint(4, 24))]
        self.library = self.random.sample(library, len(library))
        self.resolved: list[ResolveDuplicate] = []

    def step(self) -> None:
        getattr(self, self.random.choice(HAPPENINGS))()

    def accept(self) -> None:
        self.desk.accept(*self._some(BATCH))

    def label(self) -> None:
        kinds = [LabelKind.REJECTED, LabelKind.REJECTED, LabelKind.CLASS, None]
        self.desk.label(*((arrival.image_id, self.random.choice(kinds)) for arrival in self._some(3)))

    def resolve(self) -> None:
        known = list(self.desk.model.images.values())
        if len(known) > 1:
            one, other = self.random.sample(known, 2)
            keep = self.random.choice([None, one, one])
            self.resolved.append(self.desk.resolve(one, other, keep, minute=self.random.randint(0, 100)))

    def undo(self) -> None:
        if self.resolved:
            self.desk.undo(self.resolved.pop(self.random.randrange(len(self.resolved))))

    def propose(self) -> None:
        states = [PairState.REVIEW, PairState.AUTOMATIC, PairState.AUTOMATIC, PairState.CLOSED]
        one, *others = self._some(BATCH)
        self.desk.propose(
            *((one, other, self.random.choice(states), self.random.choice([0.5, 0.9])) for other in others)
        )

    def restart(self) -> None:
        self.desk.stop()
        self.desk.start(self.random.choice([LIMITS, LIMITS, WIDE]))

    def _some(self, most: int) -> list[Arrival]:
        return self.random.sample(self.library, self.random.randint(1, most))

    def _image(self, upload: int, guests: list[str | None]) -> Arrival:
        some = self.random
        return image(
            upload // 2,
            some.choice(SLOWLY_CHANGING),
            twin=upload % 2,
            turn=some.choice([Orientation.SAME] * 20 + list(Orientation)),
            noise=some.choice([0, 0, 0, 1, 2, 3]),
            guest=some.choice(guests),
            visit=some.choice([None, None, "monday"]),
            taken_at=some.choice([None, AT + timedelta(seconds=some.randint(0, 200))]),
            side_px=some.choice([None, 100, 200]),
        )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_happens_in_whatever_order_ends_in_what_the_rules_say(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder, database() as engine:
        desk = Desk(engine, Path(folder))
        story = Story(desk, seed)
        for _ in range(STEPS):
            story.step()
        desk.check()
        desk.stop()
