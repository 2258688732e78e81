"""What came of a round of double-checks: labels that were changed, and the next model beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.events import SetScore
from contracts.values import DoubleCheckVerdict

WAITING = "waiting"
CHANGES = (DoubleCheckVerdict.RELABEL, DoubleCheckVerdict.REMOVE)


@dataclass(frozen=True)
class Scored:
    """A model and its figures on its test set; None where it had none."""

    model_version: str
    test: SetScore | None


@dataclass(frozen=True)
class Effect:
    """``verdicts`` counts the round's images by verdict, those without one as ``waiting``.

    ``after`` is the first model that was scored after the round's last verdict so far; None before there
    is one.
    """

    images: int
    verdicts: Mapping[str, int]
    before: Scored
    after: Scored | None

    @property
    def checked(self) -> int:
        """Images that somebody looked at."""
        return self.images - self.verdicts.get(WAITING, 0)

    @property
    def changed(self) -> int:
        """Images that got another label, or went."""
        return sum(self.verdicts.get(one, 0) for one in CHANGES)

    def sentences(self) -> tuple[str, ...]:
        """The same for people."""
        told = (*CHANGES, DoubleCheckVerdict.KEEP, DoubleCheckVerdict.UNSURE)
        relabelled, removed, kept, unsure = (self.verdicts.get(one, 0) for one in told)
        share = f", {100 * self.changed / self.checked:.0f} % of those looked at" if self.checked else ""
        first = (
            f"Of {self.images} images {self.checked} were looked at: {relabelled} got another label, "
            f"{removed} were removed, {kept} kept their label, and of {unsure} nobody is sure; "
            f"{self.changed} were changed{share}."
        )
        return first, self._models()

    def _models(self) -> str:
        before = _figures(self.before)
        if self.after is None:
            later = (
                "No newer model has been scored since the last verdict; train one to see what the round gave"
            )
            return f"{before}. {later}."
        return f"{before}; {_figures(self.after)}. The two test sets need not hold the same images."


def _figures(scored: Scored) -> str:
    test = scored.test
    if test is None or test.accuracy is None:
        return f"Model {scored.model_version} was not measured on a test set"
    loss = "" if test.log_loss is None else f" with a log loss of {test.log_loss:.3f}"
    right = f"{100 * test.accuracy:.1f} % of its {test.images} test images"
    return f"Model {scored.model_version} was right on {right}{loss}"
