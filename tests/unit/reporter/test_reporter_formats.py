"""How values read, and cursors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reporter.domain.cursor import BadCursor, decode_cursor, encode_cursor
from services.reporter.web import formats


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.9824, "98.2\u202f%"),
        (1.0, "100.0\u202f%"),
        (0.99999, "99.9\u202f%"),
        (None, "–"),
        (0.0, "0.0\u202f%"),
    ],
)
def test_a_share_is_never_rounded_up_to_all(share: float | None, text: str) -> None:
    assert formats.percent(share) == text


@pytest.mark.parametrize(("value", "text"), [(999, "999\u202fB"), (1234567, "1.2\u202fMB"), (None, "–")])
def test_sizes_have_a_unit(value: int | None, text: str) -> None:
    assert formats.size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.4, "4\u202fs"),
        (125, "2\u202fmin 5\u202fs"),
        (7260, "2\u202fh 1\u202fmin"),
        (None, "–"),
    ],
)
def test_durations_read_like_a_clock(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


def test_counts_agree_with_their_noun() -> None:
    assert (formats.plural(1, "image", "images"), formats.plural(1200, "image", "images")) == (
        "1 image",
        "1,200 images",
    )


def test_a_name_cannot_turn_the_direction_of_its_text() -> None:
    assert formats.visible("photo\u202egpj.exe") == "photo\ufffdgpj.exe"
    assert formats.visible("\u05e9\u05dc\u05d5\u05dd 🦊") == "\u05e9\u05dc\u05d5\u05dd 🦊"
    assert formats.visible(7) == 7


@given(st.lists(st.text(), max_size=3))
def test_a_cursor_gives_back_what_was_put_in(values: list[str]) -> None:
    assert decode_cursor(encode_cursor(*values), len(values)) == tuple(values)


@given(st.text(max_size=60))
def test_a_foreign_cursor_is_refused_with_a_remedy(token: str) -> None:
    with pytest.raises(BadCursor, match="take `next`"):
        decode_cursor(token, 2)
