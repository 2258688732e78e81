"""What the demo uploads, and what it knows of each file and tells nobody until the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from contracts.values import Source
from services.ops.clients.plan import PlannedFile

OUT_OF_SCOPE = "out-of-scope"


class Kind(StrEnum):
    """Why a file is there."""

    DISTINCT = "distinct"
    EXACT = "exact"
    NEAR = "near"
    BROKEN = "broken"
    OUT_OF_SCOPE = "out-of-scope"


@dataclass(frozen=True)
class Exhibit:
    """One file: ``truth`` is its class, ``labelled`` whether the library is told so."""

    path: Path
    file_name: str
    kind: Kind
    truth: str | None = None
    labelled: bool = False
    round: int = 1
    source: Source = Source.REAL
    guest: str | None = None
    taken_at: datetime | None = None

    def planned(self, upload_id: str) -> PlannedFile:
        """The upload of this file."""
        return PlannedFile(
            self.path,
            self.file_name,
            upload_id,
            label=self.truth if self.labelled else None,
            source=self.source,
            guest=self.guest,
            taken_at=self.taken_at,
            benchmark=OUT_OF_SCOPE if self.kind is Kind.OUT_OF_SCOPE else None,
            uploaded_by="demo",
        )


@dataclass(frozen=True)
class Material:
    """All files of a demo in upload order, with the library settings that suit them."""

    title: str
    exhibits: tuple[Exhibit, ...]
    settings: Mapping[str, str]
    """Library settings of the stack, as `menagerie up --set` takes them."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Fields of the train options that differ from the defaults."""
    compared: bool = True
    """Whether the second model's classes are trained from random weights too, for comparison."""
    remarks: tuple[str, ...] = ()
    """Sentences for the person who runs it."""

    def of_round(self, number: int) -> tuple[Exhibit, ...]:
        """The files of one upload round."""
        return tuple(exhibit for exhibit in self.exhibits if exhibit.round == number)

    def planted(self) -> dict[str, int]:
        """Files per kind."""
        return dict(Counter(exhibit.kind.value for exhibit in self.exhibits))

    def trainable(self, number: int, minimum: int) -> list[str]:
        """Classes with enough labelled files in the rounds up to ``number``; copies do not count."""
        return enough([one for one in self.exhibits if one.round <= number], minimum)


def enough(exhibits: Sequence[Exhibit], minimum: int) -> list[str]:
    """Classes with at least ``minimum`` labelled distinct files, by name."""
    counts = Counter(
        one.truth for one in exhibits if one.labelled and one.truth and one.kind is Kind.DISTINCT
    )
    return sorted(name for name, count in counts.items() if count >= minimum)
