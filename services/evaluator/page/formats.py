"""How values read on the page: rounded for people, the exact ones are in report.json."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from markupsafe import Markup, escape

NONE = "\N{EN DASH}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
REPLACED = "\N{REPLACEMENT CHARACTER}"
MOST_DIGITS = 12
UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def number(value: float | None) -> str:
    """``12,345``."""
    return NONE if value is None else f"{value:,.0f}"


def percent(share: float | None, digits: int = 1) -> str:
    """``98.2 %`` of a share 0..1; never rounded up to a hundred nor down to nothing."""
    if share is None:
        return NONE
    value, step = share * 100, 10.0**-digits
    if value < 100 and f"{value:.{digits}f}" == f"{100:.{digits}f}":
        value = 100 - step
    if value > 0 and f"{value:.{digits}f}" == f"{0:.{digits}f}":
        return f"<{NARROW}{step:.{digits}f}{NARROW}%"
    return f"{value:.{digits}f}{NARROW}%"


def confidence(value: float | None) -> str:
    """``99.9`` of a confidence 0..100."""
    return percent(None if value is None else value / 100).removesuffix(f"{NARROW}%")


def score(value: float | None, digits: int = 3) -> str:
    """``0.917``: a figure that is no share; a loss may be of any size."""
    return NONE if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def index(value: float | None) -> str:
    """``0.917`` of a figure whose best is 1; never rounded up to it."""
    return "0.999" if value is not None and 0.999 < value < 1.0 else score(value)


def limits(interval: Sequence[float] | None) -> str:
    """``96.1 to 98.4 %`` of two shares."""
    if interval is None:
        return ""
    low, high = (percent(value).removesuffix(f"{NARROW}%") for value in interval)
    return f"{low} to {high}{NARROW}%"


def loss_limits(interval: Sequence[float] | None) -> str:
    """``0.10 to 0.25`` of two losses."""
    return "" if interval is None else f"{score(interval[0])} to {score(interval[1])}"


def change(value: float | None, as_share: bool) -> str:
    """``+1.2``: percentage points of shares, else as it is."""
    if value is None:
        return NONE
    shown = f"{value * 100 if as_share else value:+.1f}"
    return "0" if float(shown) == 0.0 else shown.replace("-", MINUS)


def plain(value: float) -> str:
    """``95`` or ``99.99995``: a setting, as it was set; six digits would make the latter 100."""
    return f"{value:.12g}"


def bounds(above: float | None, highest: float) -> str:
    """``over 92.0 and up to 93.4`` of two confidences 0..100, with as many digits as tell them apart."""
    if above is None:
        return f"up to {confidence(highest)}"
    return "over {} and up to {}".format(*apart(above, highest))


def apart(one: float, other: float) -> tuple[str, str]:
    """Two confidences 0..100, with as many digits as tell them apart."""
    for digits in range(1, MOST_DIGITS):
        first, second = (percent(value / 100, digits).removesuffix(f"{NARROW}%") for value in (one, other))
        if first != second:
            return first, second
    return confidence(one), confidence(other)


def commands(text: str) -> Markup:
    """``text`` with what stands between back quotes set as code; all of it escaped."""
    parts = [escape(visible(part)) for part in text.split("`")]
    if len(parts) % 2 == 0:  # a lone quote is part of a name
        return Markup("`").join(parts)
    coded = (part if at % 2 == 0 else Markup("<code>{}</code>").format(part) for at, part in enumerate(parts))
    return Markup("").join(coded)


def counted(value: float | None) -> str:
    """``+3``: a difference of counts."""
    return NONE if value is None else "0" if not value else f"{value:+,.0f}".replace("-", MINUS)


def plural(count: int, one: str, many: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number(count)} {one if count == 1 else many}"


def visible(value: object) -> object:
    """Text without control and direction characters: a name must not turn what stands around it."""
    if type(value) is not str or (value.isascii() and value.isprintable()):
        return value  # what is marked as safe is the templates' own
    return "".join(
        REPLACED if one != "\n" and unicodedata.category(one) in UNPRINTABLE else one for one in value
    )
