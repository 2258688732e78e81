"""A comparison and its progress, from what the evaluator says of it on a real broker."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import httpx
import pytest

from contracts.events import ModelsCompared, ScoringProgressed
from services.ops.clients.bus import open_bus
from services.ops.clients.errors import OpsError
from services.ops.clients.reads import Reporter
from services.ops.clients.requests import request_comparison
from services.ops.clients.scorings import scoring_progress, told
from services.ops.commands.compare import comparison_tables, verdict
from services.runtime.envelope import encode
from tests.support.colour_library import NOW
from tests.support.probe import say, until
from tests.support.servers import Broker

pytestmark = pytest.mark.integration

SAMPLE = Path(__file__).parents[1] / "contracts" / "samples" / "model.compared.json"
BETTER = "002 is right on 6 images that 001 gets wrong, and wrong on 5 of the others"


def compared(**change: object) -> ModelsCompared:
    return ModelsCompared.model_validate(json.loads(SAMPLE.read_text()) | change)


def reporter() -> Reporter:
    """A reporter without dead letters."""
    silent = httpx.MockTransport(lambda _: httpx.Response(200, json={"dead_letters": [], "next": None}))
    return Reporter(httpx.AsyncClient(base_url="http://reporter", transport=silent))


async def test_the_answer_to_ones_own_request_is_found_among_others_and_old_ones(broker: Broker) -> None:
    await asyncio.to_thread(broker.provision)
    request = request_comparison("001", "002", "ada")
    client = await broker.client("admin")
    js = client.jetstream(timeout=15)
    await say(js, compared(request_id="before-01"))
    async with open_bus(broker.url, broker.passwords["ops"], patience_s=10) as bus:
        since = await bus.last_seq("MODELS")
        others = [compared(request_id=f"other-{number}") for number in range(3)]
        await say(js, *others, compared(request_id=request.request_id, fixed=18), request)
        row = await told(bus, reporter(), ModelsCompared, since, request, what="the comparison", timeout_s=30)
        assert (since, row["fixed"], row["request_id"]) == (1, 18, request.request_id)
        missing = request_comparison("001", "002", "eve")
        with pytest.raises(OpsError, match="the comparison"):
            await told(bus, reporter(), ModelsCompared, since, missing, what="the comparison", timeout_s=0.1)
    await client.close()


async def test_only_the_progress_of_ones_own_scoring_is_heard(broker: Broker) -> None:
    await asyncio.to_thread(broker.provision)
    request = request_comparison("001", "002", "ada")
    heard: list[tuple[int, int]] = []
    evaluator = await broker.client("evaluator")
    scored = 0
    async with (
        open_bus(broker.url, broker.passwords["ops"], patience_s=10) as bus,
        scoring_progress(bus, request, lambda done, total: heard.append((done, total))),
    ):

        async def heard_something() -> bool:
            nonlocal scored
            scored += 1  # a subscription takes a moment to reach the server
            for request_id, images in ((request.request_id, 500), ("another-01", 7)):
                progress = ScoringProgressed(
                    request_id=request_id, model_version="001", images=images, scored=min(scored, images),
                    images_per_s=3.0, eta_s=1.0, progressed_at=NOW,
                )  # fmt: skip
                body, headers = encode(progress, "evaluator")
                await evaluator.publish(ScoringProgressed.subject(), body, headers=headers)
            await evaluator.publish(ScoringProgressed.subject(), b"not json")
            await evaluator.flush()
            return len(heard) >= 2

        await until(heard_something)
    await evaluator.close()
    assert {total for _, total in heard} == {500}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"fixed": 6}, BETTER),
        ({"fixed": 2, "broken": 9}, "001 is right on 9 images that 002 gets wrong, and wrong on 2 of the others"),
        ({"fixed": 6, "p_value": 0.9}, f"{BETTER}; so small a difference may be chance"),
        ({"fixed": 5}, "002 fixes as many images as it breaks"),
        ({"images": 0}, "no image is left that neither model has learned from: nothing can be said"),
    ],
)  # fmt: skip
def test_the_verdict_is_a_sentence(change: dict[str, object], sentence: str) -> None:
    assert verdict(compared(**change).model_dump(mode="json")) == sentence


def test_a_comparison_is_shown_with_its_sets_and_files() -> None:
    from rich.console import Console

    console = Console(width=150, record=True, file=io.StringIO())
    for one in comparison_tables(compared().model_dump(mode="json")):
        console.print(one)
    shown = console.export_text()
    for text in ("fixed by 002", "97.4 %", "difficult", "reports/comparisons/compare-0001/"):
        assert text in shown
