"""``menagerie dead-letters``: messages that were put aside, and sending them again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, plain, table
from services.ops.commands.options import AsJson, By, DataDir, person
from services.ops.commands.session import open_session, run

if TYPE_CHECKING:
    from services.ops.clients.dead_letters import DeadLetter

ERROR_SHOWN = 60
LetterId = Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id or the start of it.")]


def list_letters(
    data_dir: DataDir = None,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were sent again.")] = False,
) -> None:
    """List the messages that wait for a person."""
    run(_list(data_dir, Output(as_json), everything))


async def _list(data_dir: DataDir, output: Output, everything: bool) -> None:
    from services.ops.clients.dead_letters import read_dead_letters

    async with open_session(data_dir) as session:
        letters = [one for one in await read_dead_letters(session.bus) if everything or not one.replayed_at]
    rows = [_row(letter) for letter in letters]
    shown = [
        (one["id"], one["service"], _name(one["subject"]), one["reason"], one["attempts"],
         one["error"][:ERROR_SHOWN], one["replayed_at"])
        for one in rows
    ]  # fmt: skip
    columns = ("id", "service", "message", "reason", "tries", "error", "sent again")
    title = f"{len(rows)} dead letters" + (
        "" if everything else " that wait; send one again with `dead-letters replay ID`"
    )
    output.end({"dead_letters": rows}, table(title, columns, shown))


def _name(subject: str) -> str:
    from contracts.subjects import SUBJECT_PREFIX

    return subject.removeprefix(f"{SUBJECT_PREFIX}.")


def _row(letter: DeadLetter) -> dict[str, Any]:
    stored = letter.stored
    return {
        "id": stored.dead_letter_id,
        "service": stored.service,
        "durable": stored.durable,
        "subject": stored.source_subject,
        "stream": stored.source_stream,
        "seq": stored.source_seq,
        "reason": stored.reason.value,
        "error": stored.error,
        "attempts": stored.attempts,
        "stored_at": stored.stored_at,
        "replayed_at": letter.replayed_at,
        "replayed_by": letter.replayed_by,
    }


def show(letter_id: LetterId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show one message with its error, headers and body."""
    run(_show(data_dir, Output(as_json), letter_id))


async def _show(data_dir: DataDir, output: Output, letter_id: str) -> None:
    from services.ops.clients.dead_letters import find, read_dead_letters

    async with open_session(data_dir) as session:
        letter = find(await read_dead_letters(session.bus), letter_id)
    data = _row(letter) | {
        "headers": letter.stored.headers,
        "truncated": letter.stored.truncated,
        "body": letter.body.decode("utf-8", "replace"),
        "body_base64": letter.stored.body_base64,
    }
    shown = {name: value for name, value in data.items() if name not in ("headers", "body", "body_base64")}
    title = f"Dead letter {letter.stored.dead_letter_id}"
    output.end(data, facts(title, shown), facts("Headers", letter.stored.headers))
    if not output.as_json:
        output.say(
            "Body" + (" (cut; the source stream has the whole one)" if letter.stored.truncated else "")
        )
        for line in _pretty(data["body"]).splitlines():
            output.say(plain(line))


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def replay(
    letter_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Ids or their starts.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send messages again, to the subject they came from."""
    if bool(letter_ids) == everything:
        raise typer.BadParameter("give the ids of dead letters, or --all for every one that waits")
    run(_replay(data_dir, Output(as_json), letter_ids or [], person(by)))


async def _replay(data_dir: DataDir, output: Output, letter_ids: list[str], by: str) -> None:
    from datetime import UTC, datetime

    from services.ops.clients.dead_letters import find, read_dead_letters
    from services.ops.clients.dead_letters import replay as send_again

    async with open_session(data_dir) as session:
        letters = await read_dead_letters(session.bus)
        chosen = [find(letters, one) for one in letter_ids] or [one for one in letters if not one.replayed_at]
        for letter in chosen:
            await send_again(session.bus, letter, by, datetime.now(UTC))
    rows = [{"id": one.stored.dead_letter_id, "subject": one.stored.source_subject} for one in chosen]
    output.end(
        {"replayed": rows},
        table(
            f"{len(rows)} messages sent again; one that fails again comes back here",
            ("id", "subject"),
            [(one["id"], one["subject"]) for one in rows],
        ),
    )
