"""What is wrong with a request's JSON, in one line."""

from __future__ import annotations

from pydantic import ValidationError

SHOWN_ERRORS = 5


def readable(error: ValidationError) -> str:
    """Place and message of the first problems; never the values, which may be anything."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    shown = (
        f"{'.'.join(map(str, item['loc'])) or 'JSON'}: {item['msg']}" for item in problems[:SHOWN_ERRORS]
    )
    return "; ".join(shown)
