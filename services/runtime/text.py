"""Hostile text, as far as storing it is concerned."""

from __future__ import annotations

from typing import TypeVar

from contracts.message import Message

M = TypeVar("M", bound=Message)

NUL = "\0"


def storable(message: M) -> M:
    """The message with every NUL character replaced: PostgreSQL's text cannot hold one.

    Everything else (markup, quotes, ``../``, emoji) is kept as it came; what shows it escapes it.
    """
    changed = {name: _storable(value) for name, value in message if _has_nul(value)}
    return message.model_copy(update=changed) if changed else message


def _has_nul(value: object) -> bool:
    if isinstance(value, tuple):
        return any(_has_nul(item) for item in value)
    return isinstance(value, str) and NUL in value


def _storable(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_storable(item) for item in value)
    return value.replace(NUL, "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
