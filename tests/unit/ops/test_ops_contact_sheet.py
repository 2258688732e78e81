"""A contact sheet: whatever the names are, it is the same document."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from services.ops.clients.contact_sheet import SheetPair, SheetPicture, contact_sheet, write_sheet
from services.ops.clients.errors import OpsError
from tests.support.pictures import HOSTILE_NAMES, SVG

MARKUP = (
    "</title><script>alert(1)</script>",
    "</style><b onclick=x>",
    "&lt;i&gt;",
    '"><svg onload=alert(1)>',
)


PLACES = 8
"""Title and heading, what is under it, a fact, the name, two lines of the picture, the command."""


class Document(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def encoded(kind: str) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(sink, kind)
    return sink.getvalue()


def sheet(name: str, content: bytes | None = None) -> Document:
    one = SheetPicture(name, content or encoded("WEBP"), (name, name), keep=True)
    other = SheetPicture("other.png", encoded("PNG"))
    return Document(
        contact_sheet([SheetPair(one, other, (name,), hint=f"run {name}")], title=name, subtitle=name)
    )


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, *MARKUP])
def test_no_name_adds_a_tag_or_an_attribute_and_each_can_be_read(name: str) -> None:
    harmless, made = sheet("lion.png"), sheet(name)
    assert made.tags == harmless.tags
    assert [attribute for attribute, _ in made.attributes] == [
        attribute for attribute, _ in harmless.attributes
    ]
    for part in ("script", "onclick", "&lt;i&gt;"):
        assert made.text.count(part) == name.count(part) * PLACES


def test_the_document_asks_nothing_of_the_network_and_allows_nothing() -> None:
    made = sheet("lion.png")
    [policy] = [value or "" for name, value in made.attributes if name == "content" and ";" in (value or "")]
    assert policy.startswith("default-src 'none'; img-src data:;")
    addresses = [value or "" for name, value in made.attributes if name in {"src", "href"}]
    assert [value.split(",")[0] for value in addresses] == [
        "#pair-1",
        "data:image/webp;base64",
        "data:image/png;base64",
    ]
    assert "script" not in made.tags
    assert "link" not in made.tags
    assert "url(" not in made.text
    assert "@import" not in made.text


@pytest.mark.parametrize("kind", ["WEBP", "JPEG", "PNG"])
def test_the_pictures_are_in_the_file_byte_for_byte(kind: str) -> None:
    content = encoded(kind)
    [source, _] = [value or "" for name, value in sheet("lion", content).attributes if name == "src"]
    media_type, _, data = source.partition(";base64,")
    assert media_type == f"data:image/{kind.lower()}"
    assert base64.b64decode(data) == content


@pytest.mark.parametrize("content", [SVG, b"GIF89a", b"RIFF....WAVE", b"<html>", b"\xff"])
def test_what_is_no_picture_that_every_browser_shows_is_left_out(content: bytes) -> None:
    made = sheet("lion", content)
    assert made.tags.count("img") == 1
    assert "no picture" in made.text


def test_the_one_to_keep_is_marked() -> None:
    made = sheet("lion")
    assert made.tags.count("b") == 1
    assert ("class", "keep") in made.attributes


def test_an_empty_sheet_says_so() -> None:
    assert "No pairs." in contact_sheet([], "nothing")


def test_a_sheet_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "sheet.html"
    written = write_sheet(out, [], "first")
    assert written == out.stat().st_size

    def broken() -> SheetPair:
        raise RuntimeError("a picture that cannot be read")

    with pytest.raises(RuntimeError):
        write_sheet(out, (broken() for _ in range(1)), "second")
    assert "first" in out.read_text("utf-8")
    assert list(tmp_path.iterdir()) == [out]


def test_a_place_that_cannot_be_written_is_told_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="choose another place"):
        write_sheet(tmp_path / "nowhere" / "sheet.html", [], "sheet")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OpsError, match="choose another place"):
        write_sheet(tmp_path / "folder.html", [], "sheet")
