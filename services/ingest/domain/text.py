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
    changed = {
        name: value.replace(NUL, "\N{REPLACEMENT CHARACTER}")
        for name, value in message
        if isinstance(value, str) and NUL in value
    }
    return message.model_copy(update=changed) if changed else message
