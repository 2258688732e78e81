"""How a message travels: JSON body, CloudEvents attributes as ``ce-`` headers, trace context."""

from __future__ import annotations

from datetime import UTC, datetime

from opentelemetry import propagate

from contracts.message import Message, message_types

CONTENT_TYPE = "application/json"


class MalformedMessage(Exception):
    """The body is not what its subject promises; it can never be handled."""


def encode(message: Message, source: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a message said by ``source`` (a service or ``ops``).

    ``Nats-Msg-Id`` equals ``ce-id``: the broker drops a second copy inside its window.
    """
    message_id = message.message_id()
    headers = {
        "Nats-Msg-Id": message_id,
        "content-type": CONTENT_TYPE,
        "ce-specversion": "1.0",
        "ce-id": message_id,
        "ce-type": type(message).subject(),
        "ce-source": f"/menagerie/{source}",
        "ce-time": datetime.now(UTC).isoformat(),
    }
    propagate.inject(headers)
    return message.model_dump_json().encode(), headers


def decode(subject: str, body: bytes) -> Message:
    """The message of that subject.

    Raises:
        MalformedMessage: unknown subject, not JSON, or fields missing or out of range.
    """
    kind = message_types().get(subject)
    if kind is None:
        raise MalformedMessage(f"no message type is declared for subject {subject!r}")
    try:
        return kind.model_validate_json(body)
    except ValueError as error:
        raise MalformedMessage(f"{kind.name}: {error}"[:2000]) from error
