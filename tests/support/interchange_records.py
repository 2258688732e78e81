"""Records such as a library may hold, hostile ones among them, and formats as a round trip uses them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from contracts.values import LabelKind, Source
from services.ops.interchange import imagefolder, web_dataset
from services.ops.interchange.formats import FORMATS, find
from services.ops.interchange.pictures import FOLDER
from services.ops.interchange.records import Record, Row, record_of

PNG = b"\x89PNG\r\n\x1a\n"
HOSTILE = (
    "flamingo/juvenile", "../../etc/passwd", "..", ".", ".hidden/../x", "/absolute", "a//b", "trailing/", "/",
    "_unknown", "_unknown/bird", "_class/x", "Unknown Bird", "random plant", "CON", "com1.txt", "nul/lpt9",
    "100 %25", "%41", "%~", "a%~/b", "ends in a dot.", "a, b; c", '"quoted"', "'", "=cmd|' /C calc'!A0", "[1]",
    "{}", "null", "-1", "0", "007", "new\nline", "carriage\r\nreturn", "tab\there", "\ufeffmark", "a\u2028b",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe", "\N{LION FACE}\N{ZERO WIDTH JOINER}", "<script>alert(1)</script>",
    "x" * 200, "\N{LION FACE}" * 200, "%" * 200, "." * 200, "a/" * 99 + "b", "\x1b[2J", "C:\\boot.ini", "a|b?*",
)  # fmt: skip
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def text(most: int) -> st.SearchStrategy[str]:
    """Any text the library can store: PostgreSQL holds no NUL."""
    any_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=most)
    return st.one_of(any_text, st.sampled_from([one for one in HOSTILE if len(one) <= most]))


@st.composite
def records(draw: st.DrawFn) -> Record:
    """What the library says of an image: a kind exactly where there is a label."""
    image_id = hashlib.sha256(draw(st.binary(min_size=4, max_size=4))).hexdigest()
    cells: dict[str, Any] = {
        "image_id": image_id,
        "label": draw(st.none() | text(200)),
        "label_kind": draw(st.sampled_from(LabelKind)).value,
        "source": draw(st.sampled_from(Source)).value,
        "guest": draw(st.none() | text(200)),
        "visit": draw(st.none() | text(200)),
        "taken_at": draw(st.none() | st.datetimes(timezones=ZONES)),
        "tags": draw(st.lists(text(100).filter(str.strip), max_size=4)),
        "upstream_id": draw(st.none() | text(200)),
        "benchmark": draw(st.none() | text(100)),
        "file_name": draw(st.none() | text(200)),
    }
    year = cells["taken_at"].year if cells["taken_at"] else 2000
    cells["taken_at"] = cells["taken_at"] if 1 < year < 9999 else None
    return record_of(cells)


def libraries() -> st.SearchStrategy[list[Record]]:
    """Some records, sorted and told apart by image id."""
    several = st.lists(records(), max_size=5, unique_by=lambda one: one.image_id)
    return several.map(lambda found: sorted(found, key=lambda one: str(one.image_id)))


def picture(record: Record) -> bytes:
    """What stands for the picture's bytes."""
    return PNG + str(record.image_id).encode()


def write_all(name: str, folder: Path, library: Sequence[Record]) -> list[Record]:
    """Write ``library`` in the format ``name``, pictures and all; the records as placed."""
    if name == "webdataset":
        names = web_dataset.class_names(library)
        web_dataset.write_classes(folder, names)
        for number in range(0, len(library), 2):
            with (folder / f"shard-{number:06d}.tar").open("wb") as sink:
                shard = web_dataset.ShardWriter(sink, names)
                some = library[number : number + 2]
                shard.extend(some, map(picture, some))
                shard.close()
        return [one.model_copy(update={"file": f"{one.image_id}.png"}) for one in library]
    placed = []
    for record in library:
        own = f"{record.image_id}.png"
        file = imagefolder.place(record, own) if name == "imagefolder" else f"{FOLDER}/{own}"
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(record))
        placed.append(record.model_copy(update={"file": file}))
    write = FORMATS[name].write
    if write is not None:
        write(folder, placed)
    return placed


def read_all(name: str, folder: Path) -> list[Row]:
    """Every row of the folder."""
    return list(find(folder, name).rows())


def content(row: Row) -> bytes:
    """The bytes of the row's picture."""
    assert row.picture is not None
    return row.picture if isinstance(row.picture, bytes) else row.picture.read_bytes()


def problems(rows: Sequence[Row]) -> dict[str, str]:
    """What is wrong, by its place."""
    return {row.where: row.problem for row in rows if row.problem is not None}


def good(rows: Sequence[Row]) -> list[Record]:
    """The records that can be used."""
    return [row.record for row in rows if row.record is not None]
