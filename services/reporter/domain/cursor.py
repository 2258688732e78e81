"""Place in a long list: the sort key of the last row shown, opaque to clients."""

from __future__ import annotations

import base64
import binascii
import json


class BadCursor(ValueError):
    """``after`` is not a cursor that this list gave out."""


def encode_cursor(*values: str) -> str:
    """An opaque token for the sort key ``values``."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode_cursor(token: str, length: int) -> tuple[str, ...]:
    """The ``length`` values of a sort key.

    Raises:
        BadCursor: the token was changed or belongs to another list.
    """
    try:
        values = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadCursor(_told(token)) from error
    if not (isinstance(values, list) and len(values) == length and all(isinstance(v, str) for v in values)):
        raise BadCursor(_told(token))
    return tuple(values)


def _told(token: str) -> str:
    return f"after={token[:80]!r} is no cursor of this list; take `next` of the page before, unchanged"
