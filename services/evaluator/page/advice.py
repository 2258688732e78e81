"""What to do about a rule of the gate: the next step, with the command to type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.evaluator.domain.rules import NOT_WORSE, Rule
from services.evaluator.domain.sets import OUT_OF_SCOPE
from services.evaluator.page.formats import plain

Document = dict[str, Any]


def advice(rule: Rule | None, passed: bool | None, document: Document) -> str:
    """One or two sentences; empty for a rule that is kept, and where its own sentence says it all."""
    if rule is None or passed:
        return ""
    if passed is None:
        return "" if rule.bound == NOT_WORSE else _make_the_set(rule)
    if rule.bound == NOT_WORSE:
        return _compare(document)
    return {
        "images": "",  # its sentence says how to get more
        "true positives": f"{_look(rule)} {_threshold(document)}",
        "false positives": f"{_look(rule)} {_threshold(document)}",
        "errors": f"{_look(rule)} No threshold helps here: these images must be right, however unsure.",
    }[rule.measure]


def next_step(document: Document, throw_away: bool, own: bool) -> str:
    """What the verdict leads to."""
    version = document["model_version"]
    if not own:
        return "This verdict informs: only that of the model's own data set decides."
    if throw_away:
        return "It was trained to be thrown away, so it is not exported, whatever the verdict."
    if document["gate"]["verdict"] == "go":
        return "It is exported without anybody's doing."
    return (
        "It is not exported. Whoever answers for it exports it all the same, on record, by "
        f'`menagerie export {version} --reason "..."`.'
    )


def _make_the_set(rule: Rule) -> str:
    if rule.measure == "images":
        return ""
    return (
        f'Choose such images and put them into the set by `menagerie benchmark add "{rule.set_name}" '
        "IMAGE...`; then pack the library and train again."
    )


def _look(rule: Rule) -> str:
    if rule.set_name == OUT_OF_SCOPE:
        return (
            "Look at the pictures below: is what they show out of scope indeed? If so, collect more like it."
        )
    return (
        "Look at the pictures below first: a wrong label is put right in the double-check queue "
        "(`menagerie review-queue send`); where labels are right, the classes named lack images like these."
    )


def _threshold(document: Document) -> str:
    meeting: Mapping[str, Any] = document["threshold_for_targets"]
    if meeting["value"] is None:
        return "No confidence threshold meets all targets: it takes a better model."
    used = document["threshold_percent"]
    if meeting["value"] == used:
        return ""
    return (
        f"A confidence threshold of {plain(meeting['value'])} instead of {plain(used)} would meet the "
        "targets on right and wrong names of all sets that have images."
    )


def _compare(document: Document) -> str:
    production = document["production"]
    if production is None:
        return ""
    return (
        f"See image by image what it breaks: `menagerie compare {production['model_version']} "
        f"{document['model_version']}`."
    )
