"""A library that is only labels, whose taxonomy changes as ingest would change it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import strategies as st

from contracts.taxonomy import Change, Operation, Rename, Taxonomy, renamed
from services.ingest.domain import taxonomy as judge
from services.ingest.domain.faults import ActionRefused

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)

names = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3).map("/".join)
"""Few and nested, so that changes meet each other."""

steps = st.one_of(
    st.tuples(st.just("say"), names),
    st.tuples(st.just("merge"), names | st.sampled_from("XYZ"), st.lists(names | st.sampled_from("XYZ"), min_size=1, max_size=3)),
    st.tuples(st.just("split"), names | st.sampled_from("XYZ")),
    st.tuples(st.just("rename"), names | st.sampled_from("XYZ"), names),
    st.tuples(st.just("undo")),
)  # fmt: skip
stories = st.lists(steps, max_size=25)


def operation(version: int, change: Change, undoes: int | None = None) -> Operation:
    """A change as a version."""
    return Operation(version=version, change=change, undoes=undoes, by="ada", at=AT)


def taxonomy_of(*changes: Change) -> Taxonomy:
    """The versions that ``changes`` make, unjudged."""
    return Taxonomy(operations=tuple(operation(n, change) for n, change in enumerate(changes, start=1)))


@dataclass
class Labels:
    """Labels of numbered images; ``packed`` holds all of them as of every version."""

    taxonomy: Taxonomy = field(default_factory=Taxonomy)
    labels: list[str] = field(default_factory=list)
    packed: list[list[str]] = field(default_factory=lambda: [[]])

    def say(self, label: str) -> None:
        """One more image, labelled by an uploader who may not know today's names."""
        self.labels.append(self.taxonomy.todays_label(label))
        self.packed[-1] = list(self.labels)

    def merge(self, into: str, members: list[str]) -> None:
        """Merge, or raise."""
        self._make(judge.merge(self.taxonomy, set(self.labels), into, members))

    def split(self, class_name: str) -> None:
        """Split, or raise."""
        self._make(judge.split(self.taxonomy, class_name))

    def rename(self, old: str, new: str) -> None:
        """Rename, or raise."""
        self._make(judge.rename(self.taxonomy, set(self.labels), old, new))

    def undo(self) -> None:
        """Undo the newest version, or raise."""
        version = self.taxonomy.version
        self._make(judge.inverse(self.taxonomy, version), undoes=version)

    def _make(self, change: Change, undoes: int | None = None) -> None:
        made = operation(self.taxonomy.version + 1, change, undoes)
        self.taxonomy = Taxonomy(operations=(*self.taxonomy.operations, made))
        if isinstance(change, Rename):
            self.labels = [renamed(label, change.old, change.new) for label in self.labels]
        self.packed.append(list(self.labels))

    def classes(self) -> Counter[str]:
        """Images per class."""
        return Counter(map(self.taxonomy.class_of, self.labels))


def live(story: list[tuple[object, ...]], look: Callable[[Labels], None] = lambda _: None) -> Labels:
    """Go through a story, passing over what is refused; ``look`` sees the library after each step."""
    library = Labels()
    for name, *arguments in story:
        try:
            getattr(library, str(name))(*arguments)
        except ActionRefused:
            continue
        look(library)
    return library
