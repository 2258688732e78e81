"""Rounds of double-checks: sending what is wanted as one, and what came of those that were sent."""

from __future__ import annotations

import hashlib
import secrets

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from services.reporter.web.forms import read_form
from services.reporter.web.owners import Fault, Owners, Row
from services.reporter.web.rendering import Templates
from services.reporter.web.review.wanted import Wanted, place_of
from services.reporter.web.sessions import from_here, person

SHOWN = 20
WITH_EFFECT = 10
"""Each is a question of its own; older rounds are told by `menagerie review-queue round`."""


def round_routes(owners: Owners, templates: Templates) -> APIRouter:
    """``/review/rounds``."""
    router = APIRouter(prefix="/review/rounds")

    @router.get("")
    async def page(request: Request) -> Response:
        by, fault, listed = person(request), "", ""
        try:
            listed = await _list(owners, templates, request)
        except Fault as error:
            fault = str(error)
        shown = templates.render("review/rounds.html", here="/review", person=by, listed=listed, fault=fault)
        return HTMLResponse(shown, 503 if fault else 200)

    @router.get("/list")
    async def listed(request: Request) -> Response:
        person(request)
        return HTMLResponse(await _list(owners, templates, request))

    @router.post("")
    async def send(request: Request) -> Response:
        from_here(request)
        by, form = person(request), await read_form(request)
        sent = await _send(owners, form, by)
        return HTMLResponse(
            templates.render("review/round-sent.html", round_id=sent, nonce=secrets.token_hex(16))
        )

    return router


async def _list(owners: Owners, templates: Templates, request: Request) -> str:
    """The newest rounds; one that was just ``sent`` is made when its message is heard. Raises Fault."""
    sent = request.query_params.get("sent", "")[:64]
    return templates.render("review/round-list.html", rounds=await _rounds(owners), sent=sent)


async def _send(owners: Owners, form: Row, by: str) -> str:
    """Ask for the round; its id. Raises Fault."""
    wanted = Wanted.of(form)
    if wanted.suspicion:
        raise Fault(422, "A round takes the most doubtful by itself: clear the filter “Why here” first.")
    limit, reason = place_of(form, "limit"), form.get("reason", "")[:2000]
    chosen = [form.get("nonce", ""), *wanted.fields().values(), str(limit), reason]
    done = await owners.command(
        "evaluator", "model.review-requested",
        request_id=hashlib.sha256("|".join(chosen).encode()).hexdigest()[:32],
        model_version=wanted.model, class_name=wanted.class_name or None,
        confused_with=wanted.confused_with or None, sets=[wanted.set_name] if wanted.set_name else [],
        limit=limit, by=by, reason=reason or None,
    )  # fmt: skip
    round_id: str = done["round_id"]
    return round_id


async def _rounds(owners: Owners) -> list[Row]:
    """The newest, each with its effect in sentences. Raises Fault."""
    found = (await owners.get("evaluator", "/api/v1/rounds", limit=SHOWN))["rounds"]
    told = []
    for place, one in enumerate(found):
        effect: Row = {"effect": []}
        if place < WITH_EFFECT:
            effect = await owners.get("evaluator", f"/api/v1/rounds/{one['round_id']}")
        told.append(one | {"effect": effect["effect"]})
    return told
