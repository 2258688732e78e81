"""What ``menagerie cancel`` finds before it asks, and waits for after it did."""

from __future__ import annotations

from typing import Any

from contracts.message import Message
from services.ops.clients.errors import OpsError
from services.ops.clients.following import answered
from services.ops.clients.reads import Reporter

Row = dict[str, Any]
RUN, SEARCH = "runs", "searches"


async def cancelling(reporter: Reporter, run_id: str) -> Row:
    """The run or the search of that id, as it stands.

    Raises:
        OpsError: nobody heard of one.
    """
    for kind in (SEARCH, RUN):
        found: Row | None = await reporter.get(f"/api/v1/{kind}/{run_id}")
        if found is not None:
            return found | {"kind": kind}
    raise OpsError(
        f"no run or search {run_id!r} is known: `menagerie status` and `menagerie searches` name them"
    )


def refuse_ended(run_id: str, found: Row) -> None:
    """Say how a run or a search ended that is to be cancelled.

    Raises:
        OpsError: it has ended, or is about to.
    """
    if found["kind"] == SEARCH:
        if found["state"] == "stopping":
            raise OpsError(f"search {run_id} is being cancelled already: its trials end after their step")
        if found["state"] != "running":
            raise OpsError(f"search {run_id} has ended ({found['state']}): there is nothing to cancel")
        return
    outcome = found["outcome"]
    if outcome is None:
        return
    model = f", it made model {outcome['model_version']}" if outcome["model_version"] else ""
    raise OpsError(f"run {run_id} has ended ({found['state']}){model}: there is nothing to cancel")


def asked_to_cancel(before: Row) -> str:
    """What happens now."""
    if before["kind"] == RUN and not before["epochs"]:
        return "Cancelling; a run that waits is dropped at once, one that has begun stops after its step"
    return "Cancelling; what runs stops after its step"


async def cancelled(reporter: Reporter, run_id: str, request: Message, timeout_s: float) -> Row:
    """How the run ended: the outcome, which says cancelled.

    Raises:
        OpsError: it ended otherwise before it was stopped, or did not end in time.
    """

    async def read() -> Row | None:
        # A search is told as cancelled under its own id, as a run is.
        found: Row | None = await reporter.get(f"/api/v1/runs/{run_id}")
        return found["outcome"] if found else None

    outcome = await answered(
        reporter, read, what=f"the end of run {run_id}", timeout_s=timeout_s, request=request
    )
    if outcome["outcome"] != "cancelled":
        raise OpsError(f"run {run_id} ended before it could be cancelled ({outcome['outcome']})")
    return outcome
