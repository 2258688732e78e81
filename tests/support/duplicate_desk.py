"""Ingest and dedup behind their real HTTP sides, without a broker: what ingest says is handed on by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from contracts.commands import ResolveDuplicate, UndoDuplicate
from contracts.events import ImageAccepted, ImageLabelled
from contracts.message import Message
from contracts.values import Box, Orientation, PairState
from services.dedup.domain.alike import Likeness, likeness
from services.dedup.domain.fingerprint import fingerprint
from services.dedup.handlers import arrival
from services.dedup.http.application import create_http
from services.dedup.judging import Judging, ProposedPair
from services.dedup.resolving import Resolving
from services.dedup.settings import DedupSettings
from services.dedup.store import metadata
from services.dedup.store.images import Arrival
from services.dedup.store.labels import LabelNews
from services.ops.commands import session
from services.runtime.database import Database
from services.runtime.web.commands import Action
from tests.support.browser import serving
from tests.support.dedup_house import SIDE_PX, picture
from tests.support.ingest_house import AT
from tests.support.library_desk import TOKEN, LibraryDesk, library_desk

ENCODER = "mobile/7"


class DedupHouse:
    """Dedup's judging and its HTTP side on a database."""

    def __init__(self, database_url: str, work_dir: Path, token: str = TOKEN) -> None:
        self.settings = DedupSettings(api_token=SecretStr(token), work_dir=work_dir)
        self.database = Database(database_url, metadata, "dedup", "house")
        metadata.create_all(self.database.engine)
        self.judging = Judging(self.settings.limits)
        with ThreadPoolExecutor(1) as apart:  # a test may have a loop of its own
            apart.submit(
                asyncio.run, self.database.run(lambda unit: self.judging.open(unit, work_dir))
            ).result()

    @property
    def app(self) -> FastAPI:
        """As the service mounts it."""
        perform = Resolving(self.judging).perform
        actions: dict[type[Message], Action] = {ResolveDuplicate: perform, UndoDuplicate: perform}
        return create_http(self.database, self.settings.api_token, self.judging.limits, actions)

    def close(self) -> None:
        """Let go of the index and of the database."""
        self.judging.close()
        self.database.close()


class DuplicateDesk:
    """The command line beside both services."""

    def __init__(self, desk: LibraryDesk, dedup: DedupHouse) -> None:
        self.desk = desk
        self.dedup = dedup
        self._passed_on = 0

    def take(self, *files: tuple[str, bytes], label: str | None = None) -> list[str]:
        """Upload pictures, by file name; their ids in the same order."""
        before = self._passed_on
        uploads = [
            self.desk.house.put(f"upload-{before + n:06}", data, file_name=name, label=label)
            for n, (name, data) in enumerate(files)
        ]
        asyncio.run(self.desk.house.take(*uploads))
        return [image.image_id for image in self.hand_on()]

    def hand_on(self) -> list[ImageAccepted]:
        """Tell dedup what ingest has said since the last time."""
        said = asyncio.run(self.desk.house.said())[self._passed_on :]
        self._passed_on += len(said)
        accepted = [message for message in said if isinstance(message, ImageAccepted)]
        arrivals = [arrival(self.desk.house.store, message) for message in accepted]
        news = [LabelNews.of(message) for message in said if isinstance(message, ImageLabelled)]
        self.introduce(*arrivals)
        judging = self.dedup.judging
        asyncio.run(self.dedup.database.run(lambda unit: judging.label(unit, news, AT)))
        return accepted

    def introduce(self, *arrivals: Arrival) -> None:
        """Images that dedup hears of."""
        judging = self.dedup.judging
        asyncio.run(self.dedup.database.run(lambda unit: judging.accept(unit, arrivals, AT)))

    def propose(self, one: str, other: str, similarity: float) -> None:
        """Similarity vectors find two images alike."""
        offer = ProposedPair(min(one, other), max(one, other), similarity, PairState.REVIEW)
        judging = self.dedup.judging
        asyncio.run(self.dedup.database.run(lambda unit: judging.propose(unit, [offer], ENCODER, AT)))


def doubtful_copy(seed: int) -> bytes:
    """Of ``picture(seed)``; so much altered that a person has to look."""
    limits, content = DedupSettings().limits, Box(left=0, top=0, width=SIDE_PX, height=SIDE_PX)
    original = fingerprint(picture(seed), content)
    assert original.hash is not None
    for noise in range(1, 100):
        altered = picture(seed, noise)
        made = fingerprint(altered, content)
        assert made.hash is not None
        bits = (int.from_bytes(original.hash) ^ int.from_bytes(made.hash)).bit_count()
        if likeness(original, made, bits, Orientation.SAME, limits) is Likeness.REVIEW:
            return altered
    raise AssertionError(f"no noise makes a doubtful copy of picture {seed}: try another seed")


@contextmanager
def duplicate_desk(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[DuplicateDesk]:
    """Both are empty yet."""
    dedup = DedupHouse(f"sqlite:///{folder}/dedup.sqlite", folder / "dedup")
    with library_desk(folder, capsys, monkeypatch) as desk, serving(dedup.app) as url:
        stack = session.find_stack(None)
        both = replace(stack, urls=stack.urls | {"dedup": url})
        monkeypatch.setattr(session, "find_stack", lambda data_dir: both)
        yield DuplicateDesk(desk, dedup)
    dedup.close()
