"""Explanations over HTTP with a real child, a real network and a real object store."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from contracts.values import ImageId
from services.evaluator import explainer as explaining
from services.evaluator import store
from services.evaluator.domain.explaining.findings import Method
from services.evaluator.explainer import Explainer
from services.evaluator.explaining import kept
from services.evaluator.explaining.questions import Question
from services.evaluator.http import explanations
from services.evaluator.http.application import create_http
from services.evaluator.review.reading import Queues
from services.evaluator.settings import EvaluatorSettings
from services.runtime.database import Database
from services.runtime.logs import get_log
from services.runtime.objectstore import ObjectStore
from tests.support.colour_library import ColourLibrary
from tests.support.digit_library import DigitLibrary
from tests.support.explaining_child import PNG
from tests.support.model_services import model_service_settings
from tests.support.probe import until
from tests.support.servers import S3Server
from tests.support.spot_model import CLASSES, SIZE_PX, near, spot_archive, spotted

pytestmark = pytest.mark.integration

LIGHT = "tests.support.explaining_child"
TOP, LEFT = 5, 17
SPOT = {"class": "spot"}


class Desk:
    """The evaluator's HTTP side and what it knows."""

    def __init__(self, settings: EvaluatorSettings) -> None:
        self.settings = settings
        self.store = ObjectStore(settings)
        self.database = Database(
            settings.database_url.get_secret_value(), store.metadata, source="evaluator", owner="test"
        )
        self.explainer = Explainer(self.store, settings, get_log("evaluator"))
        further = [explanations.router(self.database, self.store, self.explainer)]
        app = create_http(self.database, Queues(self.store), SecretStr("token"), further)
        headers = {"Authorization": "Bearer token"}
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://evaluator", headers=headers)

    async def ask(self, image_id: ImageId, path: str = "", **params: Any) -> httpx.Response:
        """One request; waits as long as one may."""
        params = {"model_version": "001", "wait_s": 20} | params
        return await self.client.get(f"/api/v1/explanations/{image_id}{path}", params=params)

    async def ready(self, image_id: ImageId, path: str = "", **params: Any) -> httpx.Response:
        """The answer when it is there."""
        while (answer := await self.ask(image_id, path, **params)).status_code == 202:
            pass
        return answer


@asynccontextmanager
async def desk_of(weed: S3Server, folder: Path, **change: Any) -> AsyncIterator[Desk]:
    url = f"sqlite:///{folder}/evaluator.sqlite"
    values = model_service_settings("evaluator", weed, url, folder / "work") | change
    made = Desk(EvaluatorSettings(**values))
    try:
        yield made
    finally:
        await made.client.aclose()
        await made.explainer.close()
        made.database.close()


@pytest.fixture
def library(weed: S3Server, request: pytest.FixtureRequest) -> ColourLibrary:
    name = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    made = ColourLibrary(weed.store(), name)  # its name is the model too: what is kept is of one test
    made.add_class(0, "test", 2)
    return made


def picture(png: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(np.int64)


@pytest.mark.models
async def test_every_method_lights_up_what_the_score_rests_on_and_the_second_time_at_once(
    weed: S3Server, library: ColourLibrary, tmp_path: Path
) -> None:
    shown = DigitLibrary(library.store, library.name, "", 0)
    spot = shown.add_pixels(spotted(TOP, LEFT), class_name="spot", class_index=1, side="test")
    later = DigitLibrary(library.store, f"{library.name}-later", "", 0)
    unseen = later.add_pixels(spotted(TOP, LEFT, seed=1))
    values = {"classes": CLASSES, "image_size_px": SIZE_PX}
    models = (shown.trained("001", spot_archive(), **values), shown.trained("002", b"no archive", **values))
    async with desk_of(weed, tmp_path) as desk:
        for model in models:
            await desk.database.run(lambda unit, model=model: store.record_model(unit, model))
        first, twin = await asyncio.gather(desk.ready(spot), desk.ready(spot))
        assert first.json() == twin.json()
        for method in ("grad-cam", "lime", "shap"):
            told = (await desk.ready(spot, method=method, **SPOT)).json()
            assert (told["state"], told["class_name"], told["answer"]) == ("ready", "spot", "spot")
            assert told["p_class"] > 0.9
            drawn = picture((await desk.ready(spot, "/overlay", method=method, **SPOT)).content)
            factor = len(drawn) // SIZE_PX
            rise = np.abs(drawn[::factor, ::factor] - shown.pixels[spot]).sum(-1)
            assert rise[near(TOP, LEFT, 3)].sum() > 0.8 * rise.sum()
        effects = sum(one["effect"] for one in told["regions"])
        assert effects == pytest.approx(told["p_class"] - told["p_hidden"], abs=0.05)  # all but the smallest

        for _ in range(2):  # refused once is not refused for ever: it is tried again
            refused = await desk.ready(spot, model_version="002")
            assert (refused.status_code, "no readable .keras archive" in refused.text) == (422, True)
        nowhere = await desk.ready(unseen)
        assert (nowhere.status_code, "pack a snapshot" in nowhere.text) == (404, True)
        await desk.database.run(lambda unit: store.record_snapshot(unit, later.packed()))
        assert (await desk.ready(unseen)).json()["answer"] == "spot"
        await desk.explainer.close()
        again = await desk.ask(spot, method="shap", wait_s=0, **SPOT)
        assert (again.status_code, again.json()["regions"]) == (200, told["regions"])


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that load no TensorFlow."""
    monkeypatch.setattr(explaining, "JOB", LIGHT)


@pytest.mark.usefixtures("light")
async def test_a_child_answers_one_question_after_the_other_and_ends_when_nobody_asks(
    weed: S3Server, library: ColourLibrary, tmp_path: Path
) -> None:
    one, other = sorted(library.rows)
    trained = library.trained(model=library.name.encode())
    async with desk_of(weed, tmp_path, explaining_idle_s=0.2) as desk:
        await desk.database.run(lambda unit: store.record_model(unit, trained))
        asked = [
            desk.ready(one),
            desk.ready(one, "/overlay"),
            desk.ready(other),
            desk.ready(one, method="lime"),
        ]
        first, png, second, third = await asyncio.gather(*asked)
        # In whatever order the three came to be asked.
        assert sorted(row.json()["passes"] for row in (first, second, third)) == [1, 2, 3]
        assert png.content == PNG
        assert png.headers["content-type"] == "image/png"
        pid = int(first.json()["sentences"][0].split()[-1])

        async def ended() -> bool:
            return not Path(f"/proc/{pid}").exists()

        await until(ended, 60)
        assert (await desk.ready(one)).json() == first.json()
        fresh = (await desk.ready(one, method="shap")).json()
        assert (fresh["passes"], fresh["sentences"] != first.json()["sentences"]) == (1, True)

        asked = Question(image_id=one, model_version="001", method=Method.SHAP)
        there = kept.find(desk.store, asked.prefix(trained))
        assert there is not None
        desk.store.remove("reports", there.overlay.key)
        assert (await desk.ready(one, "/overlay", method="shap")).status_code == 409
        assert (await desk.ready(one, "/overlay", method="shap")).content == PNG  # made again


@pytest.mark.usefixtures("light")
async def test_a_child_that_dies_or_hangs_is_told_and_the_next_question_gets_another(
    weed: S3Server, library: ColourLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = next(iter(library.rows))
    trained = library.trained(model=library.name.encode(), classes=("red", "die", "hang", "nonsense"))
    async with desk_of(weed, tmp_path) as desk:
        await desk.database.run(lambda unit: store.record_model(unit, trained))
        for wrong in ("die", "nonsense"):
            twins = [desk.ready(image_id, **{"class": wrong}) for _ in range(2)]
            for died in await asyncio.gather(*twins):  # all who wait are told the same
                assert (died.status_code, "ended without an answer" in died.text) == (503, True)
        told = await desk.ready(image_id, **{"class": "red"})
        os.kill(int(told.json()["sentences"][0].split()[-1]), signal.SIGKILL)  # while nobody asks

        async def noticed() -> bool:
            return not any(task.get_name() == "explaining child" for task in asyncio.all_tasks())

        await until(noticed, 60)
        assert (await desk.ready(image_id, method="lime", **{"class": "red"})).status_code == 200
        monkeypatch.setattr(desk.settings, "explaining_limit_s", 0.5)  # the child is there already
        held = await desk.ask(image_id, wait_s=0, **{"class": "hang"})
        assert (held.status_code, held.json()) == (202, {"state": "working", "ahead": 0})
        late = await desk.ready(image_id, **{"class": "hang"})
        assert (late.status_code, "longer than 0.5 s" in late.text) == (503, True)
        monkeypatch.setattr(desk.settings, "explaining_limit_s", 600.0)
        assert (await desk.ready(image_id)).status_code == 200


@pytest.mark.usefixtures("light")
async def test_no_more_wait_than_may_and_nonsense_is_refused(
    weed: S3Server, library: ColourLibrary, tmp_path: Path
) -> None:
    trained = library.trained(model=library.name.encode(), classes=("red", "hang"))
    images = [f"{number:064x}" for number in range(explaining.WAITING_MOST + 1)]
    async with desk_of(weed, tmp_path) as desk:
        await desk.database.run(lambda unit: store.record_model(unit, trained))
        answers = [await desk.ask(one, wait_s=0, **{"class": "hang"}) for one in images]
        told = [one.json() for one in answers[:-1]]
        assert told == [{"state": "working", "ahead": number} for number in range(explaining.WAITING_MOST)]
        assert (answers[-1].status_code, "retry-after" in answers[-1].headers) == (503, True)
        for params in (
            {"metod": "lime"},
            {"method": "magic"},
            {"wait_s": 21},
            {"class": "blue"},
            {"wait_s": "nan"},
        ):
            assert (await desk.ask(images[0], **params)).status_code == 422
        assert (await desk.ask("short")).status_code == 422
        assert (await desk.ask(images[0], model_version="404")).status_code == 404
        assert (await desk.ask(images[0], model_version="newest")).status_code == 404  # nothing was scored
        del desk.client.headers["authorization"]
        assert (await desk.ask(images[0], "/overlay")).status_code == 401
