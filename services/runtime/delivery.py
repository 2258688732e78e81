"""What a handler gets, and what it may raise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from contracts.message import Message

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Delivery(Generic[M]):
    """A decoded message with its place in the log.

    ``attempt`` counts from 1; the same (stream, seq) may come again after a success.
    """

    message: M
    stream: str
    seq: int
    attempt: int
    stored_at: datetime
    message_id: str


Handler = Callable[[Delivery[Any]], Awaitable[None]]
BatchHandler = Callable[[Sequence[Delivery[Any]]], Awaitable[None]]


class Unprocessable(Exception):
    """This message can never succeed, however often it is tried: dead letter at once."""
