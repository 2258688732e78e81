"""What a handler gets, and what it may raise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from contracts.message import Message

M = TypeVar("M", bound=Message)


async def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Delivery(Generic[M]):
    """A decoded message with its place in the log.

    ``attempt`` counts from 1; the same (stream, seq) may come again after a success. Long work that
    can be resumed calls ``progressed`` when it has kept something: attempts are counted anew from there.
    """

    message: M
    stream: str
    seq: int
    attempt: int
    stored_at: datetime
    message_id: str
    progressed: Callable[[], Awaitable[None]] = field(default=_nothing, compare=False, repr=False)


Handler = Callable[[Delivery[Any]], Awaitable[None]]
BatchHandler = Callable[[Sequence[Delivery[Any]]], Awaitable[None]]


class Unprocessable(Exception):
    """This message can never succeed, however often it is tried: dead letter at once."""


class Postponed(Exception):
    """Another replica has this message's work in hand: deliver it again later, and count no attempt."""

    def __init__(self, why: str, again_in_s: float) -> None:
        super().__init__(why)
        self.again_in_s = again_in_s
