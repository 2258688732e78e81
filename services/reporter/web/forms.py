"""What a form of a page says."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from services.runtime.web.body import whole_body

MOST_BYTES = 64 * 1024
MOST_FIELDS = 60


async def read_form(request: Request) -> dict[str, str]:
    """Field -> text without surrounding space; of a field that comes twice the last.

    Raises:
        Refused: it is larger than any form of ours.
    """
    body = await whole_body(request, MOST_BYTES, "form")
    try:
        fields = parse_qsl(
            body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS
        )
    except ValueError:
        return {}
    return {name: value.replace("\0", "").strip() for name, value in fields}
