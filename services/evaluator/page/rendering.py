"""Renders the page: every value is escaped, whatever is missing in a template is a fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from contracts.events import ModelTrained
from services.evaluator.domain.rules import Rule
from services.evaluator.page import formats
from services.evaluator.page.advice import next_step
from services.evaluator.page.pictures import Picture
from services.evaluator.page.views import (
    BENCHMARK_FIGURES,
    LISTED,
    benchmark_views,
    is_learned,
    ordered_sets,
    rule_views,
    set_views,
)

Row = dict[str, Any]
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Shown:
    """An image beside what is said of it; ``row`` has image_id, set, label, answer, confidence (0..100)."""

    row: Row
    picture: Picture


@dataclass(frozen=True)
class Gallery:
    """Images of one kind, the first ``len(shown)`` of ``total``."""

    key: str
    title: str
    words: str
    shown: tuple[Shown, ...]
    total: int


def page_of(document: Row, model: ModelTrained, rules: Sequence[Rule], galleries: Sequence[Gallery]) -> bytes:
    """The whole page; the same values give the same bytes."""
    sets, further = set_views(document, rules)
    own = "taxonomy_version" not in document
    html = _templates().get_template("report.html").render(
        policy=POLICY, document=document, model=model, own=own, listed=LISTED,
        rules=rule_views(document, rules), next_step=next_step(document, model.throw_away, own),
        sets=sets, further=further, overview=ordered_sets(document), galleries=galleries,
        benchmarks=benchmark_views(document), benchmark_figures=BENCHMARK_FIGURES,
    )  # fmt: skip
    return html.encode()


def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("services.evaluator.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=formats.visible,
    )
    made.filters |= {
        "number": formats.number, "percent": formats.percent, "confidence": formats.confidence,
        "score": formats.score, "limits": formats.limits, "loss_limits": formats.loss_limits,
        "change": formats.change, "plain": formats.plain, "commands": formats.commands,
        "counted": formats.counted, "index": formats.index,
    }  # fmt: skip
    made.globals |= {
        "plural": formats.plural,
        "learned": is_learned,
        "bounds": formats.bounds,
        "apart": formats.apart,
    }
    return made
