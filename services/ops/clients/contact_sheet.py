"""A contact sheet of pairs: one HTML file with every picture in it, to be looked at, printed or mailed.

It asks nothing of the network and runs no script; names are hostile text and stand there as text.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from services.ops.clients.errors import OpsError
from services.ops.clients.output import plain

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Stands in the file itself: a name that got past the escaping could still load and run nothing."""


@dataclass(frozen=True)
class SheetPicture:
    """One side of a pair; ``content`` is a small WebP, JPEG or PNG, None where there is none to show."""

    name: str
    content: bytes | None
    lines: tuple[str, ...] = ()
    """What else is known of it, a line each: label, size, whose it is."""
    keep: bool = False
    """The one that is suggested, or was chosen, to stay."""


@dataclass(frozen=True)
class SheetPair:
    """Two pictures that look alike and what was measured, a few words each: ``12 of 256 bits``."""

    one: SheetPicture
    other: SheetPicture
    facts: tuple[str, ...] = ()
    hint: str = ""
    """A command to copy, for instance the one that decides the pair."""


def contact_sheet(pairs: Iterable[SheetPair], title: str, subtitle: str = "") -> str:
    """The HTML document; about four thirds of the pictures' bytes, and 1 KB a pair."""
    return "".join(sheet_parts(pairs, title, subtitle))


def sheet_parts(pairs: Iterable[SheetPair], title: str, subtitle: str = "") -> Iterator[str]:
    """The same in pieces, one a pair, for a sheet that is larger than the memory should be."""
    style = files("services.ops.clients").joinpath("contact_sheet.css").read_text("utf-8")
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{_text(title)}</h1><p>{_text(subtitle)}</p></header>\n<main>\n"
    )
    number = 0
    for number, pair in enumerate(pairs, start=1):
        yield _card(number, pair)
    if not number:
        yield '<p class="none">No pairs.</p>\n'
    yield "</main>\n</body>\n</html>\n"


def write_sheet(file: Path, pairs: Iterable[SheetPair], title: str, subtitle: str = "") -> int:
    """Write the document, complete or not at all; how many bytes it has.

    Raises:
        OpsError: the place cannot be written.
    """
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("x", encoding="utf-8") as made:
            made.writelines(sheet_parts(pairs, title, subtitle))
        beside.replace(file)
        return file.stat().st_size
    except OSError as error:
        raise OpsError(f"{file} cannot be written ({error.strerror}): choose another place") from error
    finally:
        beside.unlink(missing_ok=True)


def _card(number: int, pair: SheetPair) -> str:
    facts = "".join(f"<li>{_text(fact)}</li>" for fact in pair.facts)
    hint = f"<code>{_text(pair.hint)}</code>\n" if pair.hint else ""
    return (
        f'<article id="pair-{number}">\n<h2><a href="#pair-{number}">{number}</a></h2>'
        f'<ul class="facts">{facts}</ul>\n<div class="pair">\n'
        f"{_figure(pair.one)}{_figure(pair.other)}</div>\n{hint}</article>\n"
    )


def _figure(picture: SheetPicture) -> str:
    lines = "".join(f"<li><bdi>{_text(line)}</bdi></li>" for line in picture.lines)
    keep = "<b>keep</b>" if picture.keep else ""
    name = _text(picture.name)
    return (
        f"<figure{' class=keep' if picture.keep else ''}>\n<div>{_image(picture)}{keep}</div>\n"
        f'<figcaption><bdi title="{name}">{name}</bdi><ul>{lines}</ul></figcaption>\n'
        "</figure>\n"
    )


def _image(picture: SheetPicture) -> str:
    kind = _media_type(picture.content or b"")
    if kind is None:
        return "<span>no picture</span>"
    data = base64.b64encode(picture.content or b"").decode("ascii")
    return f'<img decoding="async" alt="" src="data:{kind};base64,{data}">'


def _media_type(content: bytes) -> str | None:
    """By the first bytes; anything else is not shown, an SVG least of all."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/png" if content.startswith(b"\x89PNG\r\n\x1a\n") else None


def _text(value: object) -> str:
    """Without control and direction characters, and nothing in it is markup."""
    return escape(plain(value), quote=True)
