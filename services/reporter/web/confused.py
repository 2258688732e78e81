"""``/confused-pairs``: classes that are hard to tell apart, and what mixing them up costs."""

from __future__ import annotations

import hashlib
import secrets

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from services.reporter.web.forms import read_form
from services.reporter.web.owners import Fault, Owners, Row
from services.reporter.web.rendering import Templates
from services.reporter.web.sessions import from_here, person

REASON_CHARS = 2000


def confused_routes(owners: Owners, templates: Templates) -> APIRouter:
    """Reading and changing; only for people who have signed in."""
    router = APIRouter(prefix="/confused-pairs", include_in_schema=False)

    @router.get("")
    async def page(request: Request) -> Response:
        by = person(request)
        body, fault, classes = "", "", list[str]()
        try:
            table = await _table(owners)
            classes = table["classes"]
            body = templates.render("confused/table.html", **table, told="")
        except Fault as error:
            fault = str(error)
        shown = templates.render(
            "confused/page.html", here="/confused-pairs", person=by, body=body, fault=fault, classes=classes
        )
        return HTMLResponse(shown, 503 if fault else 200)

    @router.post("")
    async def change(request: Request) -> Response:
        from_here(request)
        by, form = person(request), await read_form(request)
        told = await _change(owners, form, by)
        return HTMLResponse(templates.render("confused/table.html", **await _table(owners), told=told))

    return router


async def _table(owners: Owners) -> Row:
    """The table, its history, and which of its names are no class today. Raises Fault."""
    now = await owners.get("evaluator", "/api/v1/confused-pairs")
    changes = (await owners.get("evaluator", "/api/v1/confused-pairs/changes"))["changes"]
    known, warning = list[str](), ""
    try:
        found = (await owners.get("ingest", "/api/v1/classes"))["classes"]
        known = sorted((one["class_name"] for one in found), key=str.casefold)
    except Fault as error:
        warning = f"Whether the names are still classes cannot be said now. {error}"
    stale = {name for pair in now["pairs"] for name in (pair["one"], pair["other"]) if name not in known}
    return {
        "version": now["version"], "pairs": now["pairs"], "changes": changes, "classes": known,
        "stale": set() if warning else stale, "warning": warning, "nonce": secrets.token_hex(16),
    }  # fmt: skip


async def _change(owners: Owners, form: Row, by: str) -> str:
    """Put a pair on the table, change it or take it off; a sentence. Raises Fault."""
    one, other, reason = form.get("one", ""), form.get("other", ""), form.get("reason", "")[:REASON_CHARS]
    if not one or not other:
        raise Fault(422, "A pair has two classes; choose both.")
    if not reason:
        raise Fault(422, "Please say why: whoever reads the figures later asks for it.")
    weight = None if form.get("do") == "remove" else _weight(form.get("weight", ""))
    chosen = (form.get("nonce", ""), one, other, str(weight), reason)
    done = await owners.command(
        "evaluator", "class.set-confused",
        request_id=hashlib.sha256("|".join(chosen).encode()).hexdigest()[:32],
        one=one, other=other, weight=weight, by=by, reason=reason,
    )  # fmt: skip
    pair = f"“{done['one']}” and “{done['other']}”"
    change = f"{pair} are off the table" if weight is None else f"{pair} now weigh {weight:g}"
    return f"{change}: version {done['version']}. Reports that are made from now on count so."


def _weight(text: str) -> float:
    try:
        weight = float(text.replace(",", "."))
    except ValueError:
        weight = -1.0
    if not 0.0 <= weight <= 1.0:
        raise Fault(422, f"The weight is a number from 0 to 1, such as 0.5; {text[:40]!r} is none.")
    return weight
