"""What every handler gets: decode, heartbeat, bounded attempts, growing delays, dead letters.

FastStream's own policies lose a message at the first exception (``REJECT_ON_ERROR``) or hammer
it in a tight loop (``NACK_ON_ERROR``); here every delivery is settled by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import nats.errors
import structlog
from nats.aio.msg import Msg
from opentelemetry import trace
from opentelemetry.propagate import extract

from contracts.events import DeadLetterReason
from contracts.subjects import Consumer
from services.runtime.attempts import AttemptLedger
from services.runtime.deadletters import DeadLetterBox
from services.runtime.delivery import BatchHandler, Delivery, Handler, Postponed, Unprocessable
from services.runtime.envelope import MalformedMessage, decode
from services.runtime.metrics import Metrics

LEDGER_AWAY_DELAY_S = 5.0
JITTER_SHARE = 0.2
BOUND_FIELDS = ("image_id", "upload_id", "run_id", "request_id", "model_version")

tracer = trace.get_tracer("menagerie.runtime")


@dataclass(eq=False)
class _InHand:
    raw: Msg
    delivery: Delivery  # type: ignore[type-arg]  # any message type
    redelivered: bool
    settled: bool = False
    progressed: bool = False


class DeliveryPolicy:
    """Takes the deliveries of one durable and settles each exactly once."""

    def __init__(
        self,
        consumer: Consumer,
        handler: Handler | None,
        batch_handler: BatchHandler | None,
        *,
        retry_delays_s: Sequence[float],
        ledger: AttemptLedger,
        dead_letters: DeadLetterBox,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self.consumer = consumer
        self._handler = handler
        self._batch_handler = batch_handler
        self._delays_s = tuple(retry_delays_s)
        self._ledger = ledger
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._log = log.bind(durable=consumer.durable)
        self._fresh: list[_InHand] = []
        self._flush: asyncio.Task[None] | None = None
        self._solo = asyncio.Lock()

    async def consume(self, raw: Msg) -> None:
        """Handle one delivery and return when it is settled."""
        try:
            item = self._decode(raw)
        except MalformedMessage as error:
            await self._put_aside(
                raw, None, DeadLetterReason.MALFORMED, str(error), raw.metadata.num_delivered
            )
            return
        gauge = self._metrics.in_hand.labels(self.consumer.durable)
        gauge.inc()
        heart = asyncio.create_task(self._beat(item))
        try:
            await self._handle(item)
        except asyncio.CancelledError:
            if not item.settled:  # stopping: give it back now instead of after ack_wait
                self._settle(item, "returned")
                await asyncio.shield(raw.nak())
            raise
        finally:
            heart.cancel()
            gauge.dec()

    def _decode(self, raw: Msg) -> _InHand:
        meta = raw.metadata
        message = decode(raw.subject, raw.data)
        delivery = Delivery(
            message=message,
            stream=meta.stream,
            seq=meta.sequence.stream,
            attempt=1,
            stored_at=meta.timestamp,
            message_id=(raw.headers or {}).get("Nats-Msg-Id", message.message_id()),
        )
        return _InHand(raw, delivery, redelivered=meta.num_delivered > 1)

    async def _beat(self, item: _InHand) -> None:
        while not item.settled:
            await asyncio.sleep(self.consumer.ack_wait_s / 3)
            with contextlib.suppress(nats.errors.Error):  # the connection is away; it will be back
                await item.raw.in_progress()

    async def _handle(self, item: _InHand) -> None:
        if item.redelivered:
            await self._retry(item)
        elif self._batch_handler is not None:
            await self._join_batch(item)
        else:
            await self._conclude_first(item, await self._try([item]))

    async def _retry(self, item: _InHand) -> None:
        """A redelivery: counted before it runs, so that one that kills the process is counted too."""
        # One at a time: if this one kills the process, no neighbour is blamed.
        async with self._solo:
            attempts = await self._count(item)
            if attempts is None:
                return
            item.delivery = replace(
                item.delivery, attempt=attempts, progressed=lambda: self._progressed(item)
            )
            if attempts > self.max_attempts:
                error_text = f"the process died {attempts - 1} times while handling it"
                await self._bury(item, DeadLetterReason.PROCESS_DIED, error_text)
                return
            error = await self._try([item])
            if isinstance(error, Postponed):
                await self._ledger.take_back(self.consumer.durable, item.delivery.seq)
                await self._postpone(item, error)
                return
            if error is not None:
                counted = await self._count(item) if item.progressed else attempts
                if counted is not None:
                    await self._failed(item, error, counted)
                return
            await self._succeed(item)
            await self._ledger.forget(self.consumer.durable, item.delivery.seq)

    async def _progressed(self, item: _InHand) -> None:
        """What has come further is no poison, however often its process was killed before."""
        if not item.progressed:
            await self._ledger.forget(self.consumer.durable, item.delivery.seq)
            item.progressed = True

    @property
    def max_attempts(self) -> int:
        """One more than there are pauses between them."""
        return len(self._delays_s) + 1

    async def _join_batch(self, item: _InHand) -> None:
        """Wait for the deliveries fetched together with this one, then run the handler once."""
        self._fresh.append(item)
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._run_batch())
        await asyncio.shield(self._flush)

    async def _run_batch(self) -> None:
        await asyncio.sleep(0)  # all deliveries of one fetch start in the same turn of the loop
        while self._fresh:
            batch, self._fresh = self._fresh, []
            # The order of the log, so that neighbours are handled as they were said.
            batch.sort(key=lambda item: item.delivery.seq)
            error = await self._try(batch)
            if error is not None and len(batch) > 1:
                self._log.warning("batch.failed", messages=len(batch), error=repr(error))
            for item in batch:
                # Alone, so that only the one at fault fails.
                own = error if error is None or len(batch) == 1 else await self._try([item])
                await self._conclude_first(item, own)

    async def _try(self, items: Sequence[_InHand]) -> Exception | None:
        """Run the handler; returns what it raised."""
        first = items[0].delivery
        ids = {name: value for name in BOUND_FIELDS if (value := getattr(first.message, name, None))}
        started = time.perf_counter()
        try:
            with (
                structlog.contextvars.bound_contextvars(message_id=first.message_id, **ids),
                tracer.start_as_current_span(
                    self.consumer.durable,
                    context=extract(items[0].raw.headers or {}),
                    kind=trace.SpanKind.CONSUMER,
                    attributes={"messaging.batch.message_count": len(items)},
                ),
            ):
                if self._batch_handler is not None:
                    await self._batch_handler([item.delivery for item in items])
                else:
                    assert self._handler is not None
                    await self._handler(first)
        except Exception as error:
            return error
        finally:
            self._metrics.seconds.labels(self.consumer.durable).observe(time.perf_counter() - started)
        return None

    async def _succeed(self, item: _InHand) -> None:
        if item.settled:  # given back while stopping
            return
        await item.raw.ack()
        self._settle(item, "done")

    async def _conclude_first(self, item: _InHand, error: Exception | None) -> None:
        if error is None:
            await self._succeed(item)
            return
        if isinstance(error, Postponed):
            await self._postpone(item, error)
            return
        attempts = await self._count(item, cause=repr(error))
        if attempts is not None:
            await self._failed(item, error, attempts)

    async def _count(self, item: _InHand, **context: str) -> int | None:
        """The number of this attempt; None when it cannot be noted and the message goes back uncounted."""
        try:
            return await self._ledger.begin(self.consumer.durable, item.delivery.seq)
        except Exception as away:  # the database is away; that is no fault of the message
            self._log.warning("ledger.away", error=repr(away), **context)
            await self._nak(item, LEDGER_AWAY_DELAY_S)
            return None

    async def _failed(self, item: _InHand, error: Exception, attempts: int) -> None:
        if item.settled:
            return
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, Unprocessable):
            await self._bury(item, DeadLetterReason.MALFORMED, str(error))
        elif attempts >= self.max_attempts:
            self._log.error("message.gave_up", attempts=attempts, exc_info=error)
            await self._bury(item, DeadLetterReason.ATTEMPTS_EXHAUSTED, text)
        else:
            delay_s = self._delays_s[attempts - 1] * random.uniform(1, 1 + JITTER_SHARE)  # noqa: S311
            self._log.warning(
                "message.retry",
                message_id=item.delivery.message_id,
                attempt=attempts,
                again_in_s=round(delay_s, 2),
                error=text,
            )
            await self._nak(item, delay_s)

    async def _postpone(self, item: _InHand, error: Postponed) -> None:
        if not item.settled:
            self._log.info("message.postponed", why=str(error), again_in_s=error.again_in_s)
            await self._nak(item, error.again_in_s)

    async def _nak(self, item: _InHand, delay_s: float) -> None:
        await item.raw.nak(delay=delay_s)
        self._settle(item, "retry")

    async def _bury(self, item: _InHand, reason: DeadLetterReason, error: str) -> None:
        await self._put_aside(item.raw, item, reason, error, item.delivery.attempt)

    async def _put_aside(
        self, raw: Msg, item: _InHand | None, reason: DeadLetterReason, error: str, attempts: int
    ) -> None:
        """Terminate only after the dead letter is confirmed; until then it comes again."""
        try:
            await self._dead_letters.store(self.consumer, raw, reason, error, attempts)
        except Exception as away:
            self._log.warning("dead_letter.waiting", error=repr(away))
            await raw.nak(delay=self._delays_s[0] if self._delays_s else 1.0)
            return
        await raw.term()
        if item is not None:
            self._settle(item, "dead")
            await self._ledger.forget(self.consumer.durable, item.delivery.seq)
        else:
            self._metrics.messages.labels(self.consumer.durable, "dead").inc()
        self._log.error("message.dead_letter", reason=reason, error=error, subject=raw.subject)

    def _settle(self, item: _InHand, outcome: str) -> None:
        item.settled = True
        self._metrics.messages.labels(self.consumer.durable, outcome).inc()
