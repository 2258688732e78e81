"""``menagerie explain`` beside the real HTTP sides of evaluator and library; what it shows was found before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from services.evaluator import store
from services.evaluator.domain.explaining.findings import Explanation, Method, Region, sentences_of
from services.evaluator.explainer import Explainer
from services.evaluator.explaining import kept
from services.evaluator.explaining.questions import Question
from services.evaluator.http import explanations
from services.evaluator.http.application import create_http
from services.evaluator.settings import EvaluatorSettings
from services.ops.commands import session
from tests.support.browser import serving
from tests.support.colour_library import ColourLibrary
from tests.support.library_desk import TOKEN, LibraryDesk, library_desk
from tests.support.listed_library import fill, picture
from tests.support.review_desk import ReviewHouse, Silence

PNG = b"\x89PNG of a zebra"


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[LibraryDesk]:
    """A library with a picture, and a model that was asked why it sees a zebra in it."""
    monkeypatch.chdir(tmp_path)
    with library_desk(tmp_path, capsys, monkeypatch) as made:
        shown = picture(random.Random(5), 0)
        with made.house.database.engine.begin() as connection:
            fill(connection, [shown])
        house = ReviewHouse(f"sqlite:///{tmp_path}/evaluator.sqlite", made.house.store)
        model = ColourLibrary(house.store, "zoo").trained(model=b"a model", classes=("okapi", "zebra"))
        asyncio.run(house.database.run(lambda unit: store.record_model(unit, model)))
        found = Explanation(
            image_id=shown.image_id, model_version="001", method=Method.SHAP, class_name="zebra", answer="okapi",
            p_class=0.31, p_answer=0.69, p_hidden=0.01, focus=0.12, place="upper left", passes=514, seconds=9.5,
            regions=(Region(effect=0.25, left_px=1, top_px=2, width_px=30, height_px=40, share=0.02),),
        )  # fmt: skip
        found = found.model_copy(update={"sentences": sentences_of(found)})
        asked = Question(image_id=shown.image_id, model_version="001", method=Method.SHAP, class_name="zebra")
        kept.put(house.store, asked.prefix(model), found, PNG)
        explainer = Explainer(house.store, EvaluatorSettings(), Silence())
        further = [explanations.router(house.database, house.store, explainer)]
        with serving(create_http(house.database, house.queues, SecretStr(TOKEN), further)) as url:
            stack = session.find_stack(None)
            both = replace(stack, urls=stack.urls | {"evaluator": url})
            monkeypatch.setattr(session, "find_stack", lambda data_dir: both)
            yield made
        house.close()


def image_of(desk: LibraryDesk) -> str:
    found: dict[str, Any] = desk.ask("images")
    return str(found["images"][0]["image_id"])


ZEBRA = ("--model", "001", "--method", "shap", "--class", "zebra")


def test_the_picture_is_written_and_told_in_words(desk: LibraryDesk, tmp_path: Path) -> None:
    image_id = image_of(desk)
    told = desk.ask("explain", image_id[:8], *ZEBRA, "--output", "zebra.png")
    assert (told["file"], told["class_name"], told["answer"]) == ("zebra.png", "zebra", "okapi")
    assert (tmp_path / "zebra.png").read_bytes() == PNG

    assert desk.type("explain", image_id[:8], *ZEBRA) == 0
    assert (tmp_path / f"explanation-{image_id[:12]}-001-shap.png").read_bytes() == PNG
    words = " ".join(desk.out.split())
    assert "Why model 001 sees zebra in image" in words
    assert "its answer is okapi, with 69.0 %" in words
    assert "+25.0" in words


def test_what_cannot_be_explained_is_one_sentence(desk: LibraryDesk) -> None:
    image_id = image_of(desk)
    assert "did you mean zebra?" in desk.fails("explain", image_id, "--model", "001", "--class", "zebar")
    assert "model 404 was never trained here" in desk.fails("explain", image_id, "--model", "404")
    assert "menagerie evaluate" in desk.fails("explain", image_id)
    assert "choose another place" in desk.fails("explain", image_id, *ZEBRA, "--output", "none/zebra.png")
    assert desk.type("explain", image_id, "--method", "magic") == 2
    assert "is not one of grad-cam, lime, shap" in " ".join(desk.err.split())
