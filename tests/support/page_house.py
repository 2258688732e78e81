"""The pages beside a real library and a real evaluator: what one says is handed to the others by hand."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, FastAPI
from numpy.typing import NDArray
from PIL import Image
from pydantic import SecretStr
from starlette.responses import JSONResponse, Response

from contracts.commands import AssignLabel, RequestDoubleCheck, RequestReview
from contracts.events import DoubleChecked
from contracts.message import Message
from services.evaluator.http.application import create_http as evaluator_http
from services.ingest.http.application import create_http as ingest_http
from services.reporter.domain.projection import project_all
from services.reporter.store.writing import write
from tests.support.browser import serving
from tests.support.ingest_house import House, deliveries
from tests.support.label_desk import ask, hear
from tests.support.reporter_house import TOKEN, application, migrated, page_settings
from tests.support.review_desk import ReviewHouse

PICTURE_PX = 96


def portrait(colour: tuple[int, int, int], seed: int) -> bytes:
    """A picture of one colour with a little of its own, as PNG."""
    chance = np.random.default_rng(seed)
    canvas = np.full((PICTURE_PX, PICTURE_PX, 3), colour) + chance.integers(
        -20, 20, (PICTURE_PX, PICTURE_PX, 1)
    )
    held = io.BytesIO()
    Image.fromarray(canvas.clip(0, 255).astype(np.uint8)).save(held, "png")
    return held.getvalue()


class PageHouse:
    """Library, evaluator and reporter, each with its own database; no broker between them."""

    def __init__(self, folder: Path) -> None:
        self.library = House(f"sqlite:///{folder}/ingest.sqlite", folder / "work")
        self.evaluator = ReviewHouse(f"sqlite:///{folder}/evaluator.sqlite", self.library.store, TOKEN)
        self.database = migrated(f"sqlite:///{folder}/reporter.sqlite")
        self._seq = 0
        self._projected = 0
        # The browser's loop runs in the test's own thread.
        self._thread = ThreadPoolExecutor(1)
        self.ids: list[str] = []

    def apps(self) -> dict[str, FastAPI]:
        """The HTTP sides of the two owners, as their services mount them."""
        settings = self.library.settings.model_copy(update={"api_token": SecretStr(TOKEN)})
        reception, store = self.library.reception, self.library.store
        library = ingest_http(reception, self.library.database, settings, store)
        evaluator = evaluator_http(
            self.evaluator.database, self.evaluator.queues, SecretStr(TOKEN), [explanations()]
        )
        return {"ingest": library, "evaluator": evaluator}

    def do(self, work: Any) -> Any:
        """Run a coroutine to its end, in a thread without a loop."""
        return self._thread.submit(asyncio.run, work).result()

    def stock(self, pictures: Sequence[bytes], labels: Sequence[str], names: Sequence[str]) -> list[str]:
        """Take the pictures in under these labels and file names; their ids in the same order."""
        return list(self.do(self._stock(pictures, labels, names)))

    async def _stock(
        self, pictures: Sequence[bytes], labels: Sequence[str], names: Sequence[str]
    ) -> list[str]:
        uploads = [
            self.library.put(f"upload-{number:04d}", data, file_name=name)
            for number, (data, name) in enumerate(zip(pictures, names, strict=True))
        ]
        await self.library.take(*uploads)
        ids = {row["upload_id"]: row["image_id"] for row in await self.library.rows()}
        made = [ids[one.upload_id] for one in uploads]
        for number, (image_id, label) in enumerate(zip(made, labels, strict=True)):
            await self._label(f"stock-{number:04d}", image_id, label)
        await self.pass_on()
        return made

    async def _label(self, request_id: str, image_id: str, label: str) -> None:
        await hear(self.library, ask(AssignLabel, request_id, image_id=image_id, label=label))

    async def pass_on(self) -> None:
        """Hand on everything that was said, again and again: what is heard twice changes nothing."""
        await self.evaluator.hear(*await self.evaluator.said(RequestReview))
        asked = await self.evaluator.said(RequestDoubleCheck)
        await self.library.handlers.requests(deliveries(asked))
        said = await self.library.said()
        await self.evaluator.hear(*[one for one in said if isinstance(one, DoubleChecked)])
        self.tell(said[self._projected :])
        self._projected = len(said)

    def tell(self, messages: Sequence[Message]) -> None:
        """Let the reporter hear of them."""
        pairs = [(message, self._seq + place) for place, message in enumerate(messages, 1)]
        self._seq += len(messages)
        with self.database.engine.begin() as connection:
            write(connection, project_all(pairs))

    def label_of(self, image_id: str) -> str | None:
        """What the library says now."""
        rows = {row["image_id"]: row["label"] for row in self.do(self.library.rows())}
        label: str | None = rows[image_id]
        return label

    def score(
        self, scores: NDArray[np.floating], ids: Sequence[str], labels: Sequence[int], classes: Sequence[str],
        **change: Any,
    ) -> None:  # fmt: skip
        """Record a scoring of model 001 with its queue; both hear of it."""
        scored = self.do(self.evaluator.score("001", scores, ids, labels, classes, **change))
        self.tell([scored])

    def close(self) -> None:
        """Stop everything."""
        self._thread.shutdown()
        self.library.close()
        self.evaluator.close()
        self.database.close()


@contextmanager
def page_house(folder: Path) -> Iterator[PageHouse]:
    """An empty library, and an evaluator that has scored nothing."""
    house = PageHouse(folder)
    yield house
    house.close()


@contextmanager
def pages(house: PageHouse, **changes: Any) -> Iterator[str]:
    """The reporter with both owners on sockets; its address."""
    apps = house.apps()
    with serving(apps["ingest"]) as ingest, serving(apps["evaluator"]) as evaluator:
        urls = {"ingest": ingest, "evaluator": evaluator}
        settings = page_settings("sqlite://", **({"service_urls": urls} | changes))
        with serving(application(house.database, settings, house.library.store)) as address:
            yield address


def explanations() -> APIRouter:
    """What the evaluator answers of explanations (docs/architecture.md, HTTP), without a network."""
    routes = APIRouter(prefix="/api/v1/explanations")
    asked: set[str] = set()

    @routes.get("/{image_id}")
    async def one(image_id: str, method: str = "grad-cam") -> Response:
        if method == "shap":
            return JSONResponse({"detail": "16 explanations wait already"}, 503, {"Retry-After": "5"})
        if image_id not in asked:
            asked.add(image_id)
            return JSONResponse({"state": "working", "ahead": 1}, 202, {"Retry-After": "1"})
        sentence = "The model looked at the middle of the picture."
        return JSONResponse({"state": "ready", "class_name": "seal", "sentences": [sentence]})

    @routes.get("/{image_id}/overlay")
    async def overlay(image_id: str) -> Response:
        return Response(portrait((220, 60, 40), 1), media_type="image/png")

    return routes
