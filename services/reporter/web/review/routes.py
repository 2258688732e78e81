"""``/review``: one image, a verdict, the next image; and rounds of many."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from services.reporter.store import models
from services.reporter.web.forms import read_form
from services.reporter.web.owners import Fault, Owners, Row
from services.reporter.web.refusals import said
from services.reporter.web.rendering import Templates
from services.reporter.web.review import words
from services.reporter.web.review.finding import Doubts, Found
from services.reporter.web.review.rounds import round_routes
from services.reporter.web.review.verdicts import NewLabel, Verdict, give, known_labels, take_back
from services.reporter.web.review.wanted import SUSPICIONS, Wanted, place_of, step, trail_of
from services.reporter.web.sessions import from_here, person
from services.runtime.database import Database

DONE = {
    "keep": "The label stays", "relabel": "Relabelled to “{label}”", "remove": "Removed from the data sets",
    "unsure": "Noted: nobody is sure",
}  # fmt: skip


def review_routes(database: Database, owners: Owners, templates: Templates) -> APIRouter:
    """Only for people who have signed in."""
    router = APIRouter(include_in_schema=False)
    desk = ReviewDesk(database, owners, templates)

    @router.get("/review")
    async def page(request: Request) -> Response:
        by = person(request)
        return await desk.page(request, by)

    @router.get("/review/doubt")
    async def doubt(request: Request) -> Response:
        person(request)
        given = request.query_params
        found = await desk.doubts.find(
            Wanted.of(given), place_of(given, "after") or 0, at=place_of(given, "at")
        )
        return HTMLResponse(await desk.doubt(found, trail_of(given)))

    @router.post("/review/verdict")
    async def verdict(request: Request) -> Response:
        from_here(request)
        return await desk.verdict(await read_form(request), person(request))

    @router.post("/review/undo")
    async def undo(request: Request) -> Response:
        from_here(request)
        return await desk.undo(await read_form(request), person(request))

    router.include_router(round_routes(owners, templates))
    return router


class ReviewDesk:
    """Renders the page and its one image."""

    def __init__(self, database: Database, owners: Owners, templates: Templates) -> None:
        self.doubts = Doubts(database, owners)
        self._database = database
        self._owners = owners
        self._templates = templates

    async def page(self, request: Request, by: str) -> Response:
        """The page with the first image that nobody looked at; with a sentence where there is a fault."""
        wanted, fault, body = Wanted.of(request.query_params), "", ""
        parts: Row = {"sets": [], "pairs": []}
        labels: list[str] = []
        status = 200
        try:
            found = await self.doubts.find(wanted, at=place_of(request.query_params, "at"))
            body = await self.doubt(found, ())
            wanted = found.wanted
            labels = await known_labels(self._owners)
            version = wanted.model or "newest"
            parts = await self._owners.get("evaluator", "/api/v1/queue/parts", model_version=version)
        except Fault as error:
            fault, status = str(error), 200 if body else error.status
        listed = await self._database.read(models.model_list)
        scored = [one["version"] for one in reversed(listed) if one["scored_at"]]
        shown = self._templates.render(
            "review/page.html", here="/review", person=by, wanted=wanted, body=body, fault=fault, parts=parts,
            labels=labels, models=scored, suspicions=SUSPICIONS, nonce=secrets.token_hex(16),
        )  # fmt: skip
        return HTMLResponse(shown, status)

    async def doubt(self, found: Found, trail: tuple[int, ...], last: Row | None = None) -> str:
        """The image with its form; ``last`` is what was just said, to be taken back."""
        doubt, image, fault = found.doubt, None, ""
        if doubt is not None:
            try:
                image = await self._owners.get("ingest", f"/api/v1/images/{doubt['image_id']}")
            except Fault as error:
                fault = str(error)
        return self._templates.render(
            "review/doubt.html", found=found, wanted=found.wanted, doubt=doubt, image=image, fault=fault,
            ahead=found.ahead, last=last, trail=trail, trail_on=step(trail, found.place),
            reason="" if doubt is None else words.reason(doubt),
            set_told="" if doubt is None else words.set_told(doubt["set"]),
            suspicions=SUSPICIONS, nonce=secrets.token_hex(16),
        )  # fmt: skip

    async def verdict(self, form: Row, by: str) -> Response:
        """Keep the verdict, then show the next image. What is not kept stays on the screen."""
        verdict, place = Verdict.of(form), place_of(form, "place") or 0
        try:
            done = await give(self._owners, verdict, by)
        except NewLabel as new:
            return said(self._templates, str(new), 422, choices=new.alike, new_label=new.label)
        self.doubts.recent.note(verdict.image_id, True)
        told = DONE[verdict.said].format(label=verdict.label)
        last = done | {"image_id": verdict.image_id, "place": place, "told": told}
        trail = (*trail_of(form), place)
        return await self._next(Wanted.of(form), place, trail, last)

    async def undo(self, form: Row, by: str) -> Response:
        """Take the last verdict back and show its image again."""
        image_id, place = form.get("image_id", ""), place_of(form, "place") or 0
        told = await take_back(self._owners, image_id, form.get("change_id", ""), form.get("nonce", ""), by)
        self.doubts.recent.note(image_id, False)
        last = {"told": told, "image_id": "", "change_id": "", "place": place}
        return await self._next(Wanted.of(form), place, trail_of(form), last, at=place)

    async def _next(
        self, wanted: Wanted, after: int, trail: tuple[int, ...], last: Row, at: int | None = None
    ) -> Response:
        try:
            found = await self.doubts.find(wanted, after, at=at)
        except Fault as error:
            # What was said is kept; only what comes next cannot be shown.
            sentence = f"{last['told']}; that is kept. The image to look at now cannot be shown: {error}"
            return said(self._templates, sentence, error.status)
        return HTMLResponse(await self.doubt(found, trail, last))
