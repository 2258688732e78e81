"""What a command prints: tables for a person, one JSON document for a program, progress beside it."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, Group

UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Control, direction and line characters: a name must not drive the terminal that shows it."""


def plain(value: object) -> str:
    """``value`` as harmless text: labels and file names are hostile until shown."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    lines = " ".join(str(value).split("\n"))
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in UNPRINTABLE else c for c in lines
    )


def share(value: float | None) -> str:
    """A share as per cent with one digit."""
    return "-" if value is None else f"{100 * value:.1f} %"


def moment(value: str | None) -> str:
    """An ISO time to the minute."""
    return "-" if value is None else value[:16].replace("T", " ")


class Output:
    """Standard output carries the result only; with ``as_json`` all the rest goes to standard error."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    @property
    def console(self) -> Console:
        """Where progress and remarks go."""
        from rich.console import Console

        return Console(stderr=self.as_json, highlight=False)

    def say(self, sentence: str) -> None:
        """A remark on the way."""
        self.console.print(plain(sentence), markup=False, soft_wrap=True)

    def warn(self, sentence: str) -> None:
        """A remark that must not mix with the result."""
        print(plain(sentence), file=sys.stderr)  # noqa: T201

    def end(self, data: object, *tables: Group) -> None:
        """The result: ``data`` as one line of JSON, or ``tables``."""
        if self.as_json:
            print(to_json(data), flush=True)  # noqa: T201
            return
        for one in tables:
            self.console.print(one)


def to_json(data: object) -> str:
    """One line; times in ISO format."""
    return json.dumps(data, ensure_ascii=True, default=_encode)


def _encode(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


COPIED = frozenset({"id", "run_id", "snapshot_id"})
"""Columns that a person copies into the next command: not broken over lines."""
SHORT_ID = 26  # a ULID


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Group:
    """A titled table of harmless text; numbers lean right, and no header stands over nameless columns."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_header=any(columns))
    cells = [list(row) for row in rows]
    for number, name in enumerate(columns):
        values = [row[number] for row in cells if row[number] is not None]
        numeric = bool(values) and all(isinstance(value, int | float) for value in values)
        short_id = name in COPIED and all(len(str(value)) <= SHORT_ID for value in values)
        made.add_column(
            name, justify="right" if numeric else "left", overflow="fold", no_wrap=short_id,
            min_width=max((len(str(value)) for value in values), default=0) if short_id else None,
        )  # fmt: skip
    for row in cells:
        made.add_row(*(Text(plain(value)) for value in row))
    return Group(Text(f"\n{plain(title)}", style="bold"), made if cells else Text("  none"))


def facts(title: str, values: Mapping[str, Any]) -> Group:
    """A table of name and value."""
    return table(title, ("", ""), [(name, plain(value)) for name, value in values.items()])


def epoch_line(epoch: dict[str, Any]) -> str:
    """One epoch as a line."""
    return (
        f"epoch {epoch['epoch']:>3}/{plain(epoch['epochs'])}  loss {plain(epoch['loss'])}  "
        f"accuracy {share(epoch['accuracy'])}  validation {share(epoch['val_accuracy'])}  "
        f"{epoch['images_per_s'] or 0:.0f} images/s  {epoch['eta_s'] or 0:.0f} s left"
    )
