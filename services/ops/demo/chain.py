"""The chain itself, step by step; each step asks as a person would and waits until it is so."""

from __future__ import annotations

from typing import Any

from contracts.commands import RequestTraining
from contracts.subjects import CONSUMERS
from services.ops.clients.bus import Bus
from services.ops.clients.errors import OpsError
from services.ops.clients.following import (
    changed_model,
    completed_bulk,
    failure_of,
    finished_run,
    packed_snapshot,
)
from services.ops.clients.output import Output, epoch_line
from services.ops.clients.reads import Reporter
from services.ops.clients.requests import request_export, request_snapshot, request_training
from services.ops.clients.retry import poll
from services.ops.clients.ulid import UlidSource
from services.ops.clients.uploads import Uploader
from services.ops.demo.material import Exhibit

Row = dict[str, Any]
PERSON = "demo"
STEP_TIMEOUT_S = 900.0
"""A step takes a minute; what is left is for restarts, retries and slow machines."""
QUIET_POLLS = 2
"""The backlog must be empty that often in a row: between an ack and the outbox it is empty for a moment."""
SHOWN_EVERY = 5
IMAGE_CONSUMERS = tuple(one.durable for one in CONSUMERS if one.stream in ("IMAGES", "LIBRARY"))


class Chain:
    """Steps on an open stack; remembers which file became which image."""

    def __init__(self, reporter: Reporter, bus: Bus, uploader: Uploader, output: Output) -> None:
        self.image_of: dict[str, str] = {}
        self._uploaded = 0
        self._labelled: set[str] = set()
        self._reporter = reporter
        self._bus = bus
        self._uploader = uploader
        self._output = output
        self._ids = UlidSource()

    async def upload(self, exhibits: tuple[Exhibit, ...]) -> None:
        """Upload the files and note their image ids."""
        planned = [(one, one.planned(self._ids.next())) for one in exhibits]
        outcome = await self._uploader.upload([file for _, file in planned])
        for exhibit, file in planned:
            image_id = outcome.received.get(file.upload_id)
            if image_id is None:
                self._output.say(f"  {exhibit.file_name} was refused: {outcome.refused[file.upload_id]}")
                continue
            self.image_of[exhibit.file_name] = image_id
            if exhibit.labelled:
                self._labelled.add(image_id)
        self._uploaded += len(outcome.received)

    async def settle(self) -> Row:
        """Wait until every upload ended, every image has its verdict and label, and nothing is on its way."""
        quiet = 0
        counts: Row = {}

        async def look() -> Row | None:
            nonlocal quiet, counts
            counts = (await self._reporter.summary())["images"]
            backlog = await self._bus.backlog()
            still = not any(backlog[durable] for durable in IMAGE_CONSUMERS)
            quiet = quiet + 1 if still and self._all_ended(counts) else 0
            return counts if quiet >= QUIET_POLLS and await self._all_labelled() else None

        try:
            await poll(look, what="the end of all uploads", timeout_s=STEP_TIMEOUT_S)
        except OpsError as error:
            raise OpsError(f"{error} (counts so far: {counts})") from error
        self._output.say(
            f"  {counts['uploaded']} uploaded = {counts['accepted']} accepted + "
            f"{counts['exact_duplicates']} exact duplicates + {counts['rejected']} rejected; "
            f"{counts['near_duplicates']} near duplicates"
        )
        return counts

    def _all_ended(self, counts: dict[str, int]) -> bool:
        ended = counts["accepted"] + counts["exact_duplicates"] + counts["rejected"]
        judged = counts["unique"] + counts["near_duplicates"] + counts["bursts"]
        return counts["uploaded"] == self._uploaded == ended and judged == counts["accepted"]

    async def _all_labelled(self) -> bool:
        return not any(
            [
                row
                async for row in self._reporter.rows("/api/v1/images", "images", unlabelled="true")
                if row["image_id"] in self._labelled
            ]
        )

    async def snapshot(self) -> Row:
        """Pack the library."""
        request = request_snapshot(PERSON)
        await self._bus.request(request)
        packed = await packed_snapshot(self._reporter, request, STEP_TIMEOUT_S)
        self._output.say(
            f"  snapshot {packed['snapshot_id']}: {packed['images']} images, {packed['labelled']} labelled, "
            f"{packed['classes']} classes, {packed['shards']} tar files"
        )
        return packed

    async def order_training(
        self, snapshot: Row, base: str, options: Row, *, trial: bool = False
    ) -> RequestTraining:
        """Ask for a run; the trainer takes them one by one."""
        request = request_training(snapshot["snapshot_id"], PERSON, base=base, options=options, trial=trial)
        await self._bus.request(request)
        return request

    async def trained(self, request: RequestTraining) -> Row:
        """Follow a run to its end.

        Raises:
            OpsError: it failed.
        """

        def show(epoch: Row) -> None:
            if epoch["epoch"] == 1 or epoch["epoch"] % SHOWN_EVERY == 0:
                self._output.say(f"  {epoch_line(epoch)}")

        run = await finished_run(self._reporter, request, STEP_TIMEOUT_S, show)
        failure = failure_of(run)
        if failure:
            raise OpsError(f"run {request.run_id} failed: {failure}")
        return run

    async def scored(self, version: str) -> Row:
        """Wait for the scores and the gate, and tell them."""
        row = await changed_model(self._reporter, version, "scored_at", None, STEP_TIMEOUT_S)
        self._output.say(f"  model {version}: the gate says {row['gate']}")
        for rule in row["gate_rules"]:
            self._output.say(f"    {'' if rule['passed'] is not False else 'NOT '}{rule['sentence']}")
        return row

    async def exported(self, scored: Row) -> Row:
        """Wait for the export; after a no-go order it with the reason on record, as a person may."""
        version = scored["version"]
        if scored["gate"] != "go":
            failed = "; ".join(rule["sentence"] for rule in scored["gate_rules"] if rule["passed"] is False)
            reason = f"The demo goes on to show bulk identification, knowing: {failed}"[:2000]
            self._output.say(f"  exported on order, reason on record: {reason}")
            await self._bus.request(request_export(version, PERSON, reason))
        return await changed_model(self._reporter, version, "exported_at", None, STEP_TIMEOUT_S)

    async def identified(self, version: str) -> Row:
        """Wait for the bulk identification that follows the export by itself."""
        run = await completed_bulk(self._reporter, version, frozenset(), STEP_TIMEOUT_S)
        self._output.say(
            f"  {run['identified']} unlabelled images named, {run['above_threshold']} at or above "
            f"{run['threshold']:g} %"
        )
        return run

    async def rest(self) -> None:
        """Wait until no consumer has anything left, so that the account is the last word."""

        async def look() -> bool | None:
            return None if any((await self._bus.backlog()).values()) else True

        await poll(look, what="the end of all work", timeout_s=STEP_TIMEOUT_S)

    async def near_images(self) -> set[str]:
        """Ids of the images with a near verdict."""
        found = self._reporter.rows("/api/v1/images", "images", verdict="near")
        return {row["image_id"] async for row in found}

    async def uploads(self, state: str) -> list[Row]:
        """Uploads that ended so."""
        return [row async for row in self._reporter.rows("/api/v1/uploads", "uploads", state=state)]

    async def answers(self, run_id: str) -> dict[str, Row]:
        """What a bulk run says of each image."""
        found = self._reporter.rows("/api/v1/identifications", "identifications", run_id=run_id)
        return {row["image_id"]: row async for row in found}
