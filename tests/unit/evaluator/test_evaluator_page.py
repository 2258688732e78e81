"""The report as a page: what stands in it, what must not, and how large it grows."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from contracts.events import ModelTrained
from services.evaluator.domain.gate import Limits, rules_for
from services.evaluator.page.formats import commands, index, percent, visible
from services.evaluator.page.pictures import Picture
from services.evaluator.page.rendering import Gallery, Shown, page_of
from tests.support.report_documents import document_of, model

HOSTILE = ['<script>alert("x")</script>', "a & b $x_{1}$ {{ 7 * 7 }}", "exe\u202egpj\x00", '" onload="y']
VOID = {"meta", "br", "img", "line", "path", "circle"}
RULES = rules_for(Limits())


class Outline(HTMLParser):
    """Ids, addresses, tags that were opened and not closed, and captions."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.tags: Counter[str] = Counter()
        self.open: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src"):
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(page: str) -> Outline:
    read = Outline()
    read.feed(page)
    assert read.open == []
    return read


def gallery(*pictures: Picture, label: str | None = "okapi") -> Gallery:
    row: dict[str, Any] = {
        "image_id": "ab" * 32, "set": "test", "label": label, "answer": "zebra", "confidence": 99.99,
    }  # fmt: skip
    return Gallery("wrong-test", "Wrong", "Words.", tuple(Shown(row, one) for one in pictures), 30)


def rendered(document: dict[str, Any], *galleries: Gallery, trained: ModelTrained | None = None) -> str:
    return page_of(document, trained or model(), RULES, galleries).decode()


def test_the_page_needs_nothing_else_and_hostile_names_stay_text() -> None:
    page = rendered(
        document_of(200, HOSTILE), gallery(Picture("data:image/webp;base64,AA"), label=HOSTILE[0])
    )
    read = outline(page)
    assert read.tags["script"] == read.tags["link"] == read.tags["iframe"] == 0
    assert read.handlers == []
    assert all(one.startswith(("#", "data:image/webp;base64,")) for one in read.addresses)
    assert {one[1:] for one in read.addresses if one.startswith("#")} <= set(read.ids)
    assert len(read.ids) == len(set(read.ids))
    assert "default-src &#39;none&#39;" in page
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in page
    assert "a &amp; b $x_{1}$ {{ 7 * 7 }}" in page
    assert not set("\u202e\x00") & set(page)
    assert read.tags["table"] == read.tags["caption"] > 8


def test_the_verdict_comes_first_with_a_sentence_per_rule_failed_ones_first_and_what_to_do() -> None:
    document = document_of(400, ["okapi", "otter", "zebra"], wrong=0.4)
    page = rendered(document)
    assert document["gate"]["verdict"] == "no-go"
    assert page.index("<h2") == page.index('<h2 id="title-verdict">No-go</h2>')
    for rule in document["gate"]["rules"]:
        assert f'id="rule-{rule["rule"]}"' in page
    states = re.findall(r'<span class="state">(.*?)</span>', page)
    assert states == sorted(states, key=["failed", "not measured", "kept"].index)
    assert "menagerie review-queue send" in page
    assert "<code>menagerie benchmark add &#34;most-common&#34; IMAGE...</code>" in page
    assert "<code>menagerie export 002 --reason" in page


def test_a_go_needs_nobody_and_a_throw_away_model_is_exported_by_nobody() -> None:
    document = document_of(400, ["okapi", "otter"], wrong=0.0, benchmarks=False)
    assert document["gate"]["verdict"] == "go"
    assert "It is exported without anybody" in rendered(document)
    assert "thrown away" in rendered(document, trained=model(throw_away=True))


def test_a_scoring_under_other_classes_says_so_and_decides_nothing() -> None:
    document = document_of(50, ["ape", "owl"]) | {
        "taxonomy_version": 3, "dataset_of": "004", "unknown_classes": ["<b>zebra"], "undivided_classes": [],
    }  # fmt: skip
    page = rendered(document)
    assert "taxonomy version 3 on the images of model 004" in page
    assert "&lt;b&gt;zebra" in page
    assert "only that of the model&#39;s own data set decides" in page
    assert "--scoring run-0002" in page


def test_with_a_thousand_classes_the_worst_are_shown_the_rest_is_counted_and_the_page_stays_small() -> None:
    document = document_of(6000, [f"class {number}" for number in range(1000)], wrong=0.3)
    page = rendered(document)
    assert len(page) < 400_000
    assert re.search(r"40 here and [67]\d\d more in figures.parquet", page)
    assert re.search(r"Only the 14 of \d+ classes with most wrong answers", page)
    outline(page)


def test_empty_sets_and_a_model_that_was_never_measured_make_a_page_all_the_same() -> None:
    page = rendered(document_of(0, ["okapi", "otter"]))
    outline(page)
    assert "No-go" in page


def test_a_missing_picture_is_told_in_its_place() -> None:
    page = rendered(
        document_of(20, ["okapi", "otter"]),
        gallery(Picture("data:image/webp;base64,AA", tiny=True), Picture(None, missing="not readable")),
    )
    assert page.count("<img ") == 1
    assert '<span class="lost">not readable</span>' in page
    assert "The first 2 of 30." in page
    assert "<dt>sure</dt><dd>99.9</dd>" in page  # never rounded up to a hundred


def test_the_same_report_gives_the_same_bytes() -> None:
    document = document_of(100, ["okapi", "otter"])
    assert rendered(document) == rendered(document)


def test_beside_production_better_and_worse_stand_in_words() -> None:
    document = document_of(300, ["okapi", "otter"], wrong=0.3)
    row = next(one for one in document["benchmarks"] if one["figure"] == "true_positives_above")
    row |= {"production": 0.9, "difference": row["model"] - 0.9, "better": False}
    document["production"] = {"model_version": "001", "request_id": "r", "images": {"test": 37}}
    page = rendered(document)
    assert "Beside model 001 in production" in page
    assert "production on 37 images" in page
    assert "<small>worse</small>" in page


@pytest.mark.parametrize(
    ("share", "told"), [(1.0, "100.0"), (0.99999, "99.9"), (0.0, "0.0"), (0.00001, "<\u202f0.1"), (None, "–")]
)
def test_a_share_is_never_rounded_up_to_all_nor_down_to_nothing(share: float | None, told: str) -> None:
    assert percent(share).removesuffix("\u202f%") == told


def test_an_index_is_one_only_when_it_is() -> None:
    assert [index(value) for value in (1.0, 0.99999, 0.5, None)] == ["1.000", "0.999", "0.500", "\u2013"]


def test_commands_are_set_as_code_and_stay_escaped() -> None:
    assert commands("see `menagerie <b>`, or") == "see <code>menagerie &lt;b&gt;</code>, or"
    assert commands("a ` <i>\u202e") == "a ` &lt;i&gt;\ufffd"


def test_spaces_of_all_kinds_stay_and_control_characters_do_not() -> None:
    assert visible("12\u202f%\n鹿") == "12\u202f%\n鹿"
    assert visible("a\u200fb\ud800") == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    ("meeting", "told"),
    [
        (
            {"above": 99.99994, "highest": 99.99998, "value": 99.99995},
            "over 99.99994 and up to 99.99998 does",
        ),
        ({"above": None, "highest": 93.46, "value": 0.0}, "every one up to 93.5 does"),
        ({"above": 92.0412, "highest": 93.4661, "value": 93.0}, "over 92.0 and up to 93.5 does"),
        (
            {"above": 99.99998, "highest": 99.99994, "value": None},
            "must lie over 99.99998, and to let enough right ones through it must not lie over 99.99994",
        ),
        (
            {"above": 100.0, "highest": 100.0, "value": None},
            "must lie over 100.0, and to let enough right ones through it must not lie over 100.0",
        ),
    ],
)
def test_thresholds_of_a_very_sure_model_are_told_apart_and_not_rounded_to_100(
    meeting: dict[str, float | None], told: str
) -> None:
    document = document_of(50, ["okapi", "otter"])
    document["threshold_for_targets"] |= meeting
    page = rendered(document)
    assert told in page
    assert meeting["value"] is None or f"<strong>{meeting['value']:.12g}</strong>" in page


def test_what_is_asked_for_stands_as_it_was_set() -> None:
    document = document_of(50, ["okapi", "otter"])
    for figure, required in (("true_positives_above", 0.995), ("false_positives_above", 0.002)):
        row = next(one for one in document["benchmarks"] if one["figure"] == figure)
        row["required"] = required
    page = rendered(document)
    assert "at least 99.5\u202f%" in page
    assert "at most 0.2\u202f%" in page


def test_the_charts_lie_inside_their_frames() -> None:
    page = rendered(document_of(500, ["okapi", "otter", "zebra"], wrong=0.2))
    numbers = [float(one) for one in re.findall(r' (?:x|y|cx|cy|x1|x2|y1|y2)="([-0-9.]+)"', page)]
    assert numbers
    assert min(numbers) >= 0
    assert max(numbers) <= 440
    assert "at least 80 %" in page


def test_the_time_of_training_is_told_in_utc() -> None:
    assert "2026-11-22 08:30 UTC" in rendered(
        document_of(10, ["a", "b"]), trained=model(trained_at=datetime(2026, 11, 22, 8, 30, tzinfo=UTC))
    )
