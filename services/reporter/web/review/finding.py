"""The next image to look at: the evaluator's order, less what people have looked at."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from services.reporter.store.looked_at import looked_at
from services.reporter.web.owners import Owners, Row
from services.reporter.web.review.wanted import Wanted
from services.runtime.database import Database

PAGE = 200
RECENT_S = 120.0
"""By then an event has reached the read model, however busy the machine."""


class Recent:
    """What was said on this page and may not have come back as an event yet."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[float, bool]] = {}

    def note(self, image_id: str, done: bool) -> None:
        """A verdict was given, or (``done`` False) taken back."""
        now = time.monotonic()
        kept = {one: entry for one, entry in self._said.items() if now - entry[0] < RECENT_S}
        self._said = kept | {image_id: (now, done)}

    def applied(self, known: set[str]) -> set[str]:
        """The images that were looked at, ``known`` being what the read model says."""
        now = time.monotonic()
        fresh = {one: said for one, (at, said) in self._said.items() if now - at < RECENT_S}
        return (known - fresh.keys()) | {one for one, said in fresh.items() if said}


@dataclass(frozen=True)
class Found:
    """An image to look at (None at the end), the one after it, and how far the work is."""

    wanted: Wanted
    doubt: Row | None
    ahead: Row | None
    total: int
    looked: int
    again: bool
    """Somebody has looked at it before."""

    @property
    def place(self) -> int:
        """Where it stands; 0 when there is none."""
        return 0 if self.doubt is None else int(self.doubt["place"])


@dataclass(frozen=True)
class Stretch:
    """Rows beyond a place, as the evaluator gives them."""

    rows: list[Row]
    following: int | None


class Doubts:
    """Reads queue and rounds for one page."""

    def __init__(self, database: Database, owners: Owners) -> None:
        self._database = database
        self._owners = owners
        self.recent = Recent()

    async def find(self, wanted: Wanted, after: int = 0, at: int | None = None) -> Found:
        """The first image beyond ``after`` that nobody looked at, or exactly the one ``at`` a place.

        Raises:
            Fault: the evaluator cannot say.
        """
        head = await self._head(wanted, after if at is None else max(at - 1, 0))
        fixed = wanted.of_model(head["model_version"])
        looked = await self._looked(datetime.fromisoformat(head["since"]))
        counted = head["looked"] if wanted.round_id else len(await self._ranks(fixed, looked))
        if wanted.round_id:
            counted += sum(row["verdict"] is None and row["image_id"] in looked for row in head["rows"])
        stretch, chosen = Stretch(head["rows"], head["next"]), list[Row]()
        if at is not None and stretch.rows:
            chosen, stretch = [stretch.rows[0]], Stretch(stretch.rows[1:], stretch.following)
        while len(chosen) < 2:
            chosen += [row for row in stretch.rows if not _done(row, looked)]
            if stretch.following is None:
                break
            stretch = await self._beyond(fixed, stretch.following)
        first, ahead = (*chosen, None, None)[:2]
        again = first is not None and _done(first, looked)
        return Found(fixed, first, ahead, head["total"], min(counted, head["total"]), again)

    async def _head(self, wanted: Wanted, after: int) -> Row:
        """The first rows beyond ``after``, with what is true of all of them."""
        if not wanted.round_id:
            told = await self._queue(wanted, after)
            return {
                "model_version": told["model_version"], "since": told["scored_at"], "total": told["total"],
                "rows": _placed(told["images"], "rank"), "next": told["next"],
            }  # fmt: skip
        about = await self._owners.get("evaluator", f"/api/v1/rounds/{_plain(wanted.round_id)}")
        stretch = await self._beyond(wanted, after)
        waiting = about["verdicts"].get("waiting", 0)
        return {
            "model_version": about["model_version"], "since": about["requested_at"],
            "total": about["images"], "looked": about["images"] - waiting, "rows": stretch.rows,
            "next": stretch.following,
        }  # fmt: skip

    async def _beyond(self, wanted: Wanted, after: int) -> Stretch:
        if wanted.round_id:
            path = f"/api/v1/rounds/{_plain(wanted.round_id)}/images"
            told = await self._owners.get("evaluator", path, after=after, limit=PAGE)
            return Stretch(_placed(told["images"], "position"), told["next"])
        told = await self._queue(wanted, after)
        return Stretch(_placed(told["images"], "rank"), told["next"])

    async def _queue(self, wanted: Wanted, after: int) -> Row:
        return await self._owners.get(
            "evaluator", "/api/v1/queue", **wanted.question(), after=after, limit=PAGE
        )

    async def _looked(self, since: datetime) -> set[str]:
        return self.recent.applied(await self._database.read(lambda c: looked_at(c, since)))

    async def _ranks(self, wanted: Wanted, looked: set[str]) -> list[int]:
        if not looked:
            return []
        body = wanted.question() | {"image_ids": sorted(looked)[:10_000]}
        ranks: list[int] = (await self._owners.post("evaluator", "/api/v1/queue/ranks", body))["ranks"]
        return ranks


def _placed(rows: list[Row], by: str) -> list[Row]:
    return [{"verdict": None} | row | {"place": row[by]} for row in rows]


def _done(row: Row, looked: set[str]) -> bool:
    return row["verdict"] is not None or row["image_id"] in looked


def _plain(round_id: str) -> str:
    """As a part of a path: an id has no other characters."""
    return "".join(one for one in round_id if one.isascii() and (one.isalnum() or one in "-_")) or "-"
