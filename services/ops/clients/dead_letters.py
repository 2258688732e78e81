"""Messages that were put aside: read from their stream, and sent again."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts.events import DeadLetterReplayed, DeadLetterStored
from contracts.message import Message
from contracts.subjects import STREAMS, SUBJECT_PREFIX
from services.ops.clients.bus import Bus
from services.ops.clients.errors import OpsError
from services.ops.clients.retry import persist
from services.runtime.envelope import MalformedMessage, decode

STREAM = DeadLetterStored.stream()
PRIVATE_HEADERS = ("nats-",)
"""The broker's own headers (message id, expectations, schedules) speak of the first publish only."""


@dataclass(frozen=True)
class DeadLetter:
    """A message aside, and when it was last sent again."""

    stored: DeadLetterStored
    replayed_at: datetime | None = None
    replayed_by: str | None = None

    @property
    def body(self) -> bytes:
        """What was kept of the body."""
        return base64.b64decode(self.stored.body_base64)


async def read_dead_letters(bus: Bus) -> list[DeadLetter]:
    """Every dead letter in the order of storing; one that failed again after a replay counts as waiting."""
    letters: dict[str, DeadLetter] = {}
    async for raw in bus.read(STREAM):
        message = _message(raw.subject or "", raw.data or b"")
        if isinstance(message, DeadLetterStored):
            letters.pop(message.dead_letter_id, None)
            letters[message.dead_letter_id] = DeadLetter(message)
        elif isinstance(message, DeadLetterReplayed) and message.dead_letter_id in letters:
            stored = letters[message.dead_letter_id].stored
            letters[message.dead_letter_id] = DeadLetter(stored, message.replayed_at, message.by)
    return list(letters.values())


def _message(subject: str, body: bytes) -> Message | None:
    try:
        return decode(subject, body)
    except MalformedMessage:
        return None  # a stranger in the stream hides no letter


def find(letters: list[DeadLetter], prefix: str) -> DeadLetter:
    """The one letter whose id starts with ``prefix``.

    Raises:
        OpsError: none does, or several.
    """
    found = [letter for letter in letters if letter.stored.dead_letter_id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} dead letters have an id that starts with {prefix!r}"
    raise OpsError(f"{problem}: see `menagerie dead-letters list` and give the whole id")


async def replay(bus: Bus, letter: DeadLetter, by: str, now: datetime) -> None:
    """Send the original body to its original subject again, and say so.

    Raises:
        OpsError: the kept body is cut and the source stream no longer has the whole one, or the
            stream is not known.
    """
    stored = letter.stored
    if stored.source_stream not in {stream.name for stream in STREAMS} - {STREAM}:
        raise OpsError(
            f"dead letter {stored.dead_letter_id} comes from stream {stored.source_stream!r}: "
            "it is not one of Menagerie's and cannot be replayed"
        )
    if not stored.source_subject.startswith(f"{SUBJECT_PREFIX}."):
        raise OpsError(
            f"dead letter {stored.dead_letter_id} has subject {stored.source_subject!r}: "
            f"only {SUBJECT_PREFIX}.> can be replayed"
        )
    body = await _whole_body(bus, letter)
    headers = replay_headers(stored.headers, stored.dead_letter_id, now)
    await persist(lambda: bus.publish(stored.source_subject, body, stored.source_stream, headers))
    await bus.request(DeadLetterReplayed(dead_letter_id=stored.dead_letter_id, by=by, replayed_at=now))


async def _whole_body(bus: Bus, letter: DeadLetter) -> bytes:
    stored = letter.stored
    if not stored.truncated:
        return letter.body
    raw = await persist(lambda: bus.stored(stored.source_stream, stored.source_seq))
    if raw is None or raw.subject != stored.source_subject:
        raise OpsError(
            f"dead letter {stored.dead_letter_id} was cut to {len(letter.body)} bytes and message "
            f"{stored.source_seq} is gone from {stored.source_stream}: it cannot be replayed"
        )
    return raw.data or b""


def replay_headers(headers: Mapping[str, str], dead_letter_id: str, now: datetime) -> dict[str, str]:
    """The original headers under a new message id: one replay is stored once, the next one anew."""
    kept = {name: value for name, value in headers.items() if not name.lower().startswith(PRIVATE_HEADERS)}
    digest = hashlib.sha256(f"{dead_letter_id}\x1f{now.isoformat()}".encode()).hexdigest()
    return kept | {"Nats-Msg-Id": f"replay-{digest[:32]}", "menagerie-replay-of": dead_letter_id}
