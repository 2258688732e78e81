"""Where a message goes that its handler will not see again on its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from nats.aio.msg import Msg
from nats.js import JetStreamContext

from contracts.events import DeadLetterReason, DeadLetterStored
from contracts.subjects import Consumer
from services.runtime.envelope import encode

BODY_LIMIT_BYTES = 512 * 1024
"""Base64 of it and the rest stay under the broker's 1 MB; the whole is in the source stream."""
ERROR_LIMIT = 2000
PUBLISH_TIMEOUT_S = 15.0


class DeadLetterBox:
    """Publishes dead letters, confirmed; the same failure twice is one letter."""

    def __init__(self, service: str, js: Callable[[], JetStreamContext]) -> None:
        self._service = service
        self._js = js

    async def store(
        self, consumer: Consumer, raw: Msg, reason: DeadLetterReason, error: str, attempts: int
    ) -> None:
        """Raises when the broker did not confirm."""
        letter = dead_letter(self._service, consumer, raw, reason, error, attempts)
        body, headers = encode(letter, self._service)
        await self._js().publish(
            letter.subject(), body, stream=letter.stream(), headers=headers, timeout=PUBLISH_TIMEOUT_S
        )


def dead_letter(
    service: str, consumer: Consumer, raw: Msg, reason: DeadLetterReason, error: str, attempts: int
) -> DeadLetterStored:
    """The letter of a failed delivery; its id is its place in the log and the durable."""
    meta = raw.metadata
    place = f"{meta.stream}:{meta.sequence.stream}:{consumer.durable}"
    headers = {str(name): str(value) for name, value in (raw.headers or {}).items()}
    return DeadLetterStored(
        dead_letter_id=hashlib.sha256(place.encode()).hexdigest()[:16],
        service=service,
        durable=consumer.durable,
        source_subject=raw.subject,
        source_stream=meta.stream,
        source_seq=meta.sequence.stream,
        source_message_id=headers.get("Nats-Msg-Id"),
        reason=reason,
        error=error[:ERROR_LIMIT],
        attempts=attempts,
        headers=headers,
        body_base64=base64.b64encode(raw.data[:BODY_LIMIT_BYTES]).decode(),
        truncated=len(raw.data) > BODY_LIMIT_BYTES,
        stored_at=datetime.now(UTC),
    )
