"""Which images a person means: ids, the beginnings of ids, or ``-`` for a list on standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence

from services.ops.clients.errors import OpsError
from services.ops.clients.library import Library

ID_DIGITS = 64
BEGINNING = re.compile(r"[0-9a-f]{6,64}")
STANDARD_INPUT = "-"


def named_images(texts: Iterable[str]) -> list[str]:
    """Ids and beginnings of ids, each once, in order; ``-`` stands for those on standard input.

    Raises:
        OpsError: one is no image id, or there is none.
    """
    named: dict[str, None] = {}
    for text in texts:
        for one in sys.stdin.read().split() if text == STANDARD_INPUT else [text]:
            if not BEGINNING.fullmatch(one):
                raise OpsError(
                    f"{one[:80]!r} is no image id: give its 64 hex digits or the first 6 and more, "
                    "as `menagerie images` shows them"
                )
            named[one] = None
    if not named:
        raise OpsError("no image is named: give ids, or - and a list as `menagerie images --ids` prints it")
    return list(named)


async def whole_ids(library: Library, named: Sequence[str]) -> list[str]:
    """The ids that ``named`` stand for; whole ones are not looked up.

    Raises:
        OpsError: no image, or more than one, begins like that.
    """
    found = [one if len(one) == ID_DIGITS else await _completed(library, one) for one in named]
    return list(dict.fromkeys(found))


async def _completed(library: Library, beginning: str) -> str:
    # A beginning sorts right before the ids that it begins.
    rows = [row async for row in library.rows("/api/v1/images", "images", limit=3, after=beginning)]
    fitting = [str(row["image_id"]) for row in rows if row["image_id"].startswith(beginning)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise OpsError(f"no image's id begins with {beginning}: `menagerie images` lists those there are")
    shown = ", ".join(one[: len(beginning) + 6] for one in fitting)
    raise OpsError(f"several images' ids begin with {beginning} ({shown} ...): give more digits")
