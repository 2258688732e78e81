"""What the review page remembers, and what it says when nobody foresaw a failure."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from services.reporter.web.assets import Assets
from services.reporter.web.refusals import answer_faults
from services.reporter.web.rendering import Templates
from services.reporter.web.review import finding
from services.reporter.web.review.finding import Recent
from services.reporter.web.security import POLICY


def test_what_was_said_a_moment_ago_goes_before_what_the_read_model_knows_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recent = Recent()
    recent.note("said", True)
    recent.note("taken back", False)
    assert recent.applied({"taken back", "other"}) == {"said", "other"}
    monkeypatch.setattr(finding, "RECENT_S", 0.0)  # by now the events have come
    assert recent.applied({"taken back", "other"}) == {"taken back", "other"}


@pytest.mark.parametrize(
    ("path", "headers", "place"),
    [("/review", {"HX-Request": "true"}, "#said"), ("/review", {}, None), ("/api/v1/x", {}, None)],
)
async def test_an_unforeseen_failure_is_a_sentence_and_replaces_nothing_on_the_page(
    path: str, headers: dict[str, str], place: str | None
) -> None:
    app = FastAPI()
    answer_faults(app, Templates(Assets()))

    @app.get(path)
    async def failing() -> None:
        raise RuntimeError("secret")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://reporter") as client:
        answer = await client.get(path, headers=headers)
    assert (answer.status_code, answer.headers.get("hx-retarget")) == (500, place)
    assert ("nobody foresaw" in answer.text, "secret" in answer.text) == (True, False)
    assert answer.headers["content-security-policy"] == POLICY
