"""A person's verdict on a label becomes commands of the library, which keeps who, when and why."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from services.reporter.web.owners import Fault, Owners, Row

KEEP, RELABEL, REMOVE, UNSURE = "keep", "relabel", "remove", "unsure"
SAID = (KEEP, RELABEL, REMOVE, UNSURE)
REMOVED = "rejected"
"""As `menagerie review-queue verdict` labels it; the image's history keeps what it was."""
REASON_CHARS = 2000
ALIKE = 4
MEMBERS = 12


@dataclass(frozen=True)
class Verdict:
    """What the form says."""

    image_id: str
    said: str
    label: str
    reason: str
    nonce: str
    why_asked: str
    """Why the image was looked at, as the double-check's reason."""
    new_label: bool
    shown: str | None = None
    """The label under which the image was shown; None when the library could not say."""

    @classmethod
    def of(cls, form: Mapping[str, str]) -> Verdict:
        """Raises Fault: the form is not one of ours."""
        verdict = cls(
            image_id=form.get("image_id", ""), said=form.get("said", ""), label=form.get("label", ""),
            reason=form.get("reason", "")[:REASON_CHARS], nonce=form.get("nonce", ""),
            why_asked=form.get("why_asked", "")[:REASON_CHARS] or "review page",
            new_label=form.get("new_label") == form.get("label") != "", shown=form.get("shown"),
        )  # fmt: skip
        if verdict.said not in SAID:
            raise Fault(422, "No verdict was chosen: keep, relabel, remove or unsure.")
        if verdict.said == RELABEL and not verdict.label:
            raise Fault(422, "Type or choose the right label first, then relabel.")
        return verdict

    @property
    def request_id(self) -> str:
        """The same for a double click or a repetition, another one for another verdict."""
        said = f"{self.nonce}|{self.image_id}|{self.said}|{self.label if self.said == RELABEL else ''}"
        return hashlib.sha256(f"{said}|{self.reason}".encode()).hexdigest()[:32]


class NewLabel(Exception):
    """No image has that label yet; the text says so, ``alike`` are labels that may be meant."""

    def __init__(self, sentence: str, label: str, alike: list[str]) -> None:
        super().__init__(sentence)
        self.label = label
        self.alike = alike


async def known_labels(owners: Owners) -> list[str]:
    """Labels that the library's images have, sorted; those of kind class. Raises Fault."""
    return sorted({one for members in (await _classes(owners)).values() for one in members}, key=str.casefold)


async def _classes(owners: Owners) -> dict[str, list[str]]:
    """Class -> the labels that are trained as it. Raises Fault."""
    told = (await owners.get("ingest", "/api/v1/classes"))["classes"]
    return {one["class_name"]: [sub["label"] for sub in one["sub_classes"]] for one in told}


async def give(owners: Owners, verdict: Verdict, by: str) -> Row:
    """Have the library keep it: ``{"changed", "change_id"}``, the latter when a label was set.

    Raises:
        Fault: it was not kept.
        NewLabel: the label would be a new one, and the person has not said that it should.
    """
    if verdict.said == RELABEL and not verdict.new_label:
        _known(verdict.label, await _classes(owners))
    if verdict.said == KEEP and verdict.shown is not None:
        await _unchanged(owners, verdict.image_id, verdict.shown)
    made = {"by": by, "reason": verdict.reason or None}
    # An open double-check is what a verdict ends; without one it would leave no trace.
    await owners.command(
        "ingest", "label.double-check", request_id=f"{verdict.request_id}-ask",
        image_ids=[verdict.image_id], by=by, reason=verdict.why_asked,
    )  # fmt: skip
    if verdict.said in {KEEP, UNSURE}:
        done = await owners.command(
            "ingest", "label.double-checked", request_id=verdict.request_id, image_ids=[verdict.image_id],
            verdict=verdict.said, **made,
        )  # fmt: skip
        return {"changed": done["changed"], "change_id": ""}
    is_removed = verdict.said == REMOVE
    done = await owners.command(
        "ingest", "label.assign", request_id=verdict.request_id, change_id=verdict.request_id,
        image_id=verdict.image_id, label=REMOVED if is_removed else verdict.label,
        kind="rejected" if is_removed else None, **made,
    )  # fmt: skip
    return {"changed": done["changed"], "change_id": verdict.request_id if done["changed"] else ""}


async def take_back(owners: Owners, image_id: str, change_id: str, nonce: str, by: str) -> str:
    """Undo a verdict: the label as it was, and the double-check open again; a sentence. Raises Fault."""
    request_id = hashlib.sha256(f"{nonce}|undo|{image_id}|{change_id}".encode()).hexdigest()[:32]
    told = "Taken back"
    if change_id:
        done = await owners.command(
            "ingest", "label.undo", request_id=request_id, change_id=change_id, by=by,
            reason="taken back on the review page",
        )  # fmt: skip
        told = "Taken back: the label is what it was before"
        if not done["changed"]:
            told = "Its label was changed again by somebody since, so it stays as it is now"
    await owners.command(
        "ingest", "label.double-check", request_id=f"{request_id}-ask", image_ids=[image_id], by=by,
        reason="a verdict was taken back on the review page",
    )  # fmt: skip
    return told


async def _unchanged(owners: Owners, image_id: str, shown: str) -> None:
    """Raises Fault: the label that a person wants to keep is not the one that they saw."""
    label = (await owners.get("ingest", f"/api/v1/images/{quote(image_id, safe='')}"))["label"] or ""
    if label != shown:
        now = f"changed to “{label}”" if label else "taken away"
        raise Fault(
            409,
            f"Since you were shown this image its label was {now}, so nothing was kept. "
            "If that is right, skip the image; if not, relabel it.",
        )


def _known(label: str, classes: Mapping[str, list[str]]) -> None:
    """Raises NewLabel: no image has it."""
    labels = [one for members in classes.values() for one in members]
    if label in labels:
        return
    if label in classes:  # a model answers by classes, an image has a label
        sentence = f"“{label}” is a class of several labels: choose the one that this image shows."
        raise NewLabel(sentence, label, classes[label][:MEMBERS])
    raise NewLabel(f"No image has the label “{label}” yet.", label, _alike(label, labels))


def _alike(label: str, labels: list[str]) -> list[str]:
    folded = {one.casefold(): one for one in labels}
    near = difflib.get_close_matches(label.casefold(), folded, ALIKE, 0.6)
    return [folded[one] for one in near]
