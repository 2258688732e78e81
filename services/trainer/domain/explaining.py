"""Why an image is where it is: the rule that decided it, in the words of ``rules``, with its facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.manifests import DatasetRow, SnapshotRow
from contracts.training import DatasetRules
from contracts.values import ImageId, ModelVersion, Side
from services.trainer.domain.facts import Facts
from services.trainer.domain.known import Ancestor, Known, place_in
from services.trainer.domain.rules import TOLD, TRAINED_AGAIN, Rule
from services.trainer.domain.table import Table


@dataclass(frozen=True)
class History:
    """Where one ancestor had the image; None where its snapshot did not hold it."""

    version: ModelVersion
    side: Side | None
    rule: str | None


@dataclass(frozen=True)
class Explanation:
    """``why`` and ``change`` are sentences for a person, the rest are the facts behind them."""

    image_id: ImageId
    side: Side
    rule: Rule
    why: str
    change: str
    label: str | None
    class_name: str | None
    source: str
    benchmark: str | None
    group: str
    unit: str
    unit_images: int
    ancestors: tuple[History, ...]


class Explainer:
    """Answers for one data set; ``dataset`` was built by ``rules`` out of ``snapshot``."""

    def __init__(
        self,
        dataset: Table[DatasetRow],
        snapshot: Table[SnapshotRow],
        rules: DatasetRules,
        ancestors: Sequence[Ancestor] = (),
    ) -> None:
        self._known = Known(dataset, snapshot.sorted_by("image_id"), rules, ancestors)

    def explain(self, image_id: ImageId) -> Explanation | None:
        """None for an image that the snapshot does not hold."""
        place = place_in(self._known.dataset, image_id)
        if place is None:
            return None
        facts = Facts(self._known, place)
        row, words = facts.row, facts.words()
        told = TOLD[facts.rule]
        again = facts.rule is Rule.TRAIN and facts.trained_before
        return Explanation(
            image_id=image_id,
            side=row.side,
            rule=facts.rule,
            why=_sentence(TRAINED_AGAIN if again else told.why, words),
            change=_sentence(told.change, words),
            label=row.label,
            class_name=facts.class_name,
            source=row.source.value,
            benchmark=row.benchmark,
            group=row.group,
            unit=facts.unit,
            unit_images=len(facts.mates) + 1,
            ancestors=tuple(_history(ancestor, image_id) for ancestor in self._known.ancestors),
        )


def _sentence(pattern: str, words: dict[str, str]) -> str:
    return pattern.format_map(words)


def _history(ancestor: Ancestor, image_id: ImageId) -> History:
    place = place_in(ancestor.dataset, image_id)
    if place is None:
        return History(ancestor.version, None, None)
    columns = (ancestor.dataset.column(name)[place] for name in ("side", "rule"))
    return History(ancestor.version, *columns)
