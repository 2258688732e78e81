"""Which images a person looks through, as the address of the page says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from services.reporter.web.owners import Row

SUSPICIONS = {
    "mislabelled": "probably wrong label",
    "wrong": "wrong answer",
    "low-scoring": "answer and label agree",
}
TRAIL = 20
WHOLE_MOST = 2**31 - 1
WHOLE_DIGITS = 10
"""Python refuses to read thousands of digits as a number."""


@dataclass(frozen=True)
class Wanted:
    """A model's queue, narrowed; or the images of a round. Empty text is no condition."""

    model: str = ""
    class_name: str = ""
    confused_with: str = ""
    set_name: str = ""
    suspicion: str = ""
    round_id: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Wanted:
        """From the fields of an address or a form; an unknown suspicion is none."""
        suspicion = given.get("suspicion", "")
        return cls(
            model=given.get("model", "")[:9],
            class_name=given.get("class", "")[:200],
            confused_with=given.get("with", "")[:200] if given.get("class") else "",
            set_name=given.get("set", "")[:200],
            suspicion=suspicion if suspicion in SUSPICIONS else "",
            round_id=given.get("round", "")[:64],
        )

    def fields(self) -> dict[str, str]:
        """Of an address or a form; ``of`` reads them back."""
        named = {
            "model": self.model, "class": self.class_name, "with": self.confused_with, "set": self.set_name,
            "suspicion": self.suspicion, "round": self.round_id,
        }  # fmt: skip
        return {name: value for name, value in named.items() if value}

    def address(self, path: str = "/review", **more: object) -> str:
        """The page, or another path, with these images."""
        query = urlencode(self.fields() | {name: str(value) for name, value in more.items()})
        return f"{path}?{query}" if query else path

    def question(self) -> Row:
        """The same as the evaluator asks for it."""
        return {
            name: value
            for name, value in {
                "model_version": self.model, "class": self.class_name, "confused_with": self.confused_with,
                "set": [self.set_name] if self.set_name else None, "suspicion": self.suspicion,
            }.items()
            if value
        }  # fmt: skip

    def of_model(self, version: str) -> Wanted:
        """The same of that model, so that a newer one does not slip in while a person works."""
        return replace(self, model=version)

    def of_pair(self, label: str, other: str) -> Wanted:
        """The pair alone, of the same model."""
        return Wanted(model=self.model, class_name=label, confused_with=other)


def place_of(given: Mapping[str, str], name: str) -> int | None:
    """A place in the queue; None when there is none."""
    text = given.get(name, "")
    if not (text.isascii() and text.isdigit()):
        return None
    return min(int(text), WHOLE_MOST) if len(text) <= WHOLE_DIGITS else WHOLE_MOST


def trail_of(given: Mapping[str, str]) -> tuple[int, ...]:
    """Places that were looked at before, the newest last."""
    found = (place_of({"place": part}, "place") for part in given.get("trail", "").split(","))
    return tuple(place for place in found if place is not None)[-TRAIL:]


def step(trail: tuple[int, ...], place: int) -> str:
    """The trail with one more place, as text."""
    return ",".join(str(one) for one in (*trail, place)[-TRAIL:])
