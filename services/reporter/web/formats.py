"""How values read on the page."""

from __future__ import annotations

from datetime import datetime

MINUS = "\N{EN DASH}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
STEERING = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0x200E, 0x2010)), "\ufffd")
"""Characters that turn the direction of text: with one, ``exe.gpj`` reads ``jpg.exe``."""
SIZES = ("B", "kB", "MB", "GB", "TB")


def number(value: float | None) -> str:
    """``12,345``."""
    return MINUS if value is None else f"{value:,.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """``98.2 %`` of a share 0..1; never rounded up to a hundred."""
    if share is None:
        return MINUS
    value = share * 100
    if value < 100 and f"{value:.{digits}f}" == f"{100:.{digits}f}":
        value = 100 - 10.0**-digits
    return f"{value:.{digits}f}{NARROW}%"


def size(value: float | None) -> str:
    """``1.2 MB``."""
    if value is None:
        return MINUS
    unit = 0
    while value >= 1000 and unit < len(SIZES) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.{0 if unit == 0 else 1}f}{NARROW}{SIZES[unit]}"


def duration(seconds: float | None) -> str:
    """``2 min 5 s``."""
    if seconds is None:
        return MINUS
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{NARROW}h {minutes}{NARROW}min"
    return f"{minutes}{NARROW}min {rest}{NARROW}s" if minutes else f"{rest}{NARROW}s"


def moment(value: datetime | None) -> str:
    """``2026-11-21 14:03:22 UTC``."""
    return MINUS if value is None else f"{value:%Y-%m-%d %H:%M:%S} UTC"


def visible(value: object) -> object:
    """Text that reads in the order it is written; anything else as it is."""
    return value.translate(STEERING) if type(value) is str else value


def plural(count: int, one: str, many: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number(count)} {one if count == 1 else many}"


def parsed(value: str | datetime | None) -> datetime | None:
    """A moment as another service's JSON tells it."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
