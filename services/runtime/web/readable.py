"""What is wrong with a request, in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

SHOWN_ERRORS = 5


def readable(error: ValidationError) -> str:
    """Place and message of the first problems of a JSON body; never the values, which may be anything."""
    return shown(error.errors(include_url=False, include_context=False, include_input=False))


def shown(problems: Sequence[Mapping[str, Any]]) -> str:
    """Place and message of the first of pydantic's ``problems``."""
    return "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'JSON'}: {item['msg']}" for item in problems[:SHOWN_ERRORS]
    )
