"""How many images each class has, by sub-class and source."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from contracts.values import LabelKind, Source

UNTRAINED = {
    LabelKind.UNKNOWN: "unknown",
    LabelKind.OUT_OF_SCOPE: "out_of_scope",
    LabelKind.REJECTED: "rejected",
}


@dataclass(frozen=True)
class LabelCount:
    """So many images with that label, kind and source."""

    label: str | None
    kind: LabelKind | None
    source: Source
    images: int


def count_classes(
    counts: Iterable[LabelCount], version: int, class_of: Callable[[str], str]
) -> dict[str, Any]:
    """The answer of ``/api/v1/classes``: every image counts once, in a class or beside all of them."""
    classes: dict[str, dict[str, Counter[Source]]] = defaultdict(lambda: defaultdict(Counter))
    beside: Counter[str] = Counter()
    images = 0
    for count in counts:
        images += count.images
        if count.label is None:
            beside["unlabelled"] += count.images
        elif count.kind is LabelKind.CLASS:
            classes[class_of(count.label)][count.label][count.source] += count.images
        else:
            beside[UNTRAINED[count.kind or LabelKind.UNKNOWN]] += count.images
    return {
        "taxonomy_version": version,
        "classes": [
            {"class_name": name, **_figures(sum(labels.values(), Counter())), "sub_classes": [
                {"label": label, **_figures(sources)} for label, sources in sorted(labels.items())
            ]}
            for name, labels in sorted(classes.items())
        ],
        **{name: beside[name] for name in ("unlabelled", *UNTRAINED.values())},
        "images": images,
    }  # fmt: skip


def _figures(sources: Counter[Source]) -> dict[str, Any]:
    by_source = {source.value: sources[source] for source in Source}
    return {"images": sources.total(), "by_source": by_source}
