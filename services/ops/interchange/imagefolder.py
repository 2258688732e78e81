"""ImageFolder: the folder is the label, ``/`` between levels is a folder in a folder.

Pictures without a label lie in the root. A label kind that the plain folder would not say is a
first folder of its own: ``_unknown/``, ``_out-of-scope/``, ``_rejected/`` and ``_class/``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from contracts.values import LabelKind
from services.ops.clients.output import UNPRINTABLE
from services.ops.clients.plan import files_below, told_name
from services.ops.interchange.pictures import row_of
from services.ops.interchange.records import Record, Row

KIND_FOLDERS = {f"_{kind.value}": kind for kind in LabelKind}
GUESSED_KIND = re.compile(r"\s*(unknown|random)", re.IGNORECASE)
"""Labels whose kind ingest may tell from the label itself; a plain folder says no kind for them."""
UNSAFE = frozenset('%/\\<>:"|?*')
"""What some file system refuses in a name, and the escape sign itself."""
RESERVED = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)", re.IGNORECASE)
"""Names that are devices on Windows."""
CONTINUED = "%~"
"""At the end of a folder's name: the level's name goes on in the next folder."""
FOLDER_BYTES = 200
"""A name may have 255 bytes on every common file system; below that with room for the mark."""
ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def place(record: Record, name: str) -> str:
    """Where the picture called ``name`` lies; the same folder for the same label and kind only."""
    if record.label is None:
        return name
    return f"{folder_of(record.label, record.label_kind or LabelKind.CLASS)}/{name}"


def folder_of(label: str, kind: LabelKind) -> str:
    """The folder of a label."""
    levels = label.split("/")
    if not all(levels):  # an empty level has no folder: the slashes stay in one name
        levels = [label]
    folders = [part for number, level in enumerate(levels) for part in _names(level, first=number == 0)]
    if kind is not LabelKind.CLASS or GUESSED_KIND.match(label):
        folders = [f"_{kind.value}", *folders]
    return "/".join(folders)


def label_of(folder: str) -> tuple[str | None, LabelKind | None]:
    """Label and kind that a folder says; no kind where ingest shall tell it from the label."""
    if not folder:
        return None, None
    parts = folder.split("/")
    said = KIND_FOLDERS.get(parts[0])
    if said is not None:
        parts = parts[1:] or [said.value]
    label = "/".join(parts).replace(f"{CONTINUED}/", "")
    label = ESCAPES.sub(_unescaped, label)
    if said is None and not GUESSED_KIND.match(label):
        said = LabelKind.CLASS
    return label, said


def read(root: Path, _title: str) -> Iterator[Row]:
    """Every file below ``root``, in order of its path; hidden ones and links that lead out do not count.

    Raises:
        OpsError: a folder cannot be read.
    """
    for name in sorted(files_below(root)):
        label, kind = label_of(name.rpartition("/")[0])
        yield row_of(
            told_name(name),
            root,
            {"file": name, "label": label, "label_kind": kind and kind.value, "file_name": told_name(name)},
        )


def _names(level: str, *, first: bool) -> Iterator[str]:
    """The folders of one level: one, unless its name is too long for a file system."""
    name = ""
    last = len(level) - 1
    reserved = RESERVED.match(level) is not None
    for number, character in enumerate(level):
        unsafe = (
            character in UNSAFE
            or unicodedata.category(character) in UNPRINTABLE
            or (number == 0 and (reserved or (first and character == "_")))
            or (number == last and character in ". ")
        )
        piece = _escaped(character) if unsafe else character
        if len((name + piece).encode()) > FOLDER_BYTES:
            yield name + CONTINUED
            name = ""
        name += _escaped(character) if character == "." and not name else piece
    yield name


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _unescaped(escapes: re.Match[str]) -> str:
    try:
        return bytes.fromhex(escapes[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return escapes[0]  # not ours: somebody's name with a per cent sign
