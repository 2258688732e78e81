"""A search in the read model: how far it is, until it is over, and the files of its report."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from contracts.commands import RequestSearch
from services.ops.clients.errors import OpsError
from services.ops.clients.following import answered
from services.ops.clients.reads import Reporter

Row = dict[str, Any]
OVER = frozenset({"completed", "failed", "cancelled"})


async def finished_search(
    reporter: Reporter, request: RequestSearch, timeout_s: float, on_look: Callable[[Row], None]
) -> Row:
    """The search once it is over; ``on_look`` hears how it stands, again and again."""

    async def read() -> Row | None:
        found = await reporter.get(f"/api/v1/searches/{request.search_id}")
        if found:
            on_look(found)
        return found if found and found["state"] in OVER else None

    what = f"the end of search {request.search_id}"
    return await answered(reporter, read, what=what, timeout_s=timeout_s, request=request, every_s=1.0)


async def one_search(reporter: Reporter, search_id: str) -> Row:
    """The search with its trials.

    Raises:
        OpsError: there is none.
    """
    found: Row | None = await reporter.get(f"/api/v1/searches/{search_id}")
    if found is None:
        raise OpsError(f"no search {search_id!r} is known: see `menagerie searches`")
    return found


def standing(search: Row) -> Row:
    """Counts by state, the best so far, and about how many seconds are left (None: nobody knows)."""
    trials: list[Row] = search["trial_list"]
    counts: dict[str, int] = {}
    for trial in trials:
        counts[trial["state"]] = counts.get(trial["state"], 0) + 1
    done = [trial for trial in trials if trial["state"] == "complete"]
    best = max(done, key=lambda trial: (trial["best_val_accuracy"] or 0, -trial["number"]), default=None)
    return {"counts": counts, "best": best, "left_s": _left_s(search, trials)}


async def report_of(reporter: Reporter, search: Row) -> dict[str, bytes]:
    """The files of a search's report by name: page.html, report.json and, with a best trial, best.json.

    Raises:
        OpsError: it is not written yet.
    """
    files: dict[str, bytes] = {}
    for kind, name in (("page", "page.html"), ("report", "report.json")):
        data = await reporter.file(f"/api/v1/searches/{search['search_id']}/{kind}")
        if data is None:
            raise OpsError(f"search {search['search_id']} ({search['state']}) has no report (yet)")
        files[name] = data
    best = json.loads(files["report.json"])["best"]
    if best is not None:
        files["best.json"] = json.dumps(best["request"], indent=1, ensure_ascii=False).encode()
    return files


def _left_s(search: Row, trials: list[Row]) -> float | None:
    took = [
        (
            datetime.fromisoformat(trial["ended_at"]) - datetime.fromisoformat(trial["requested_at"])
        ).total_seconds()
        for trial in trials
        if trial["ended_at"] and trial["requested_at"]
    ]
    if not took or search["trials_planned"] is None:
        return None
    left = max(search["trials_planned"] - len(took), 0)
    return float(left * sum(took) / len(took) / max(1, min(search["parallel"] or 1, left)))
