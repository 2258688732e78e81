"""The taxonomy: which class a sub-class is trained as, in every version there ever was.

A version is the state after so many operations; version 0 has none, and every label is its own class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.message import UtcDatetime
from contracts.values import PersonName, Reason, Value

LEVEL = "/"
LONGEST = 200
"""Characters of a name, as of a label."""

ClassName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST)]


class Merge(Value):
    """``members``, each with all below it, are trained as the one class ``into``."""

    kind: Literal["merge"] = "merge"
    into: ClassName
    members: tuple[ClassName, ...]


class Split(Value):
    """The merge that made ``class_name`` holds no longer."""

    kind: Literal["split"] = "split"
    class_name: ClassName


class Rename(Value):
    """The sub-class ``old`` and all below it are called ``new``."""

    kind: Literal["rename"] = "rename"
    old: ClassName
    new: ClassName


Change = Merge | Split | Rename


class Operation(Value):
    """What made ``version`` out of the version before it; ``undoes`` names the version it reverses."""

    version: Annotated[int, Field(ge=1)]
    change: Annotated[Change, Field(discriminator="kind")]
    undoes: int | None = None
    by: PersonName
    reason: Reason | None = None
    at: UtcDatetime


def covers(path: str, label: str) -> bool:
    """Whether ``label`` is the sub-class ``path`` or one below it."""
    return label == path or label.startswith(path + LEVEL)


def renamed(label: str, old: str, new: str) -> str:
    """``label`` after ``old`` and all below it were called ``new``."""
    return new + label[len(old) :] if covers(old, label) else label


class Classes:
    """The classes of one version.

    ``merged`` holds the members of each merged class. A member that names another merged class
    means that class (nesting), any other a sub-class and all below it.
    """

    def __init__(self, version: int, merged: Mapping[str, tuple[str, ...]]) -> None:
        self.version = version
        self.merged = dict(merged)
        self._by_path: dict[str, str] = {}
        self._by_class: dict[str, str] = {}
        for class_name, members in self.merged.items():
            for member in members:
                nested = member in self.merged and member != class_name
                (self._by_class if nested else self._by_path)[member] = class_name

    def class_of(self, label: str) -> str:
        """The class that ``label``, under this version's names, is trained as.

        Of several members that cover it the most specific wins; without one it is its own class.
        """
        name = next((self._by_path[path] for path in _upwards(label) if path in self._by_path), label)
        return self.outermost(name)

    def outermost(self, class_name: str) -> str:
        """The class that a merged class is trained as: itself, or the outermost it was merged into."""
        while (outer := self._by_class.get(class_name)) is not None:
            class_name = outer
        return class_name

    def members(self, class_name: str) -> tuple[str, ...]:
        """What ``class_name`` was merged from; nothing when it was not."""
        return self.merged.get(class_name, ())

    def merged_into(self, member: str) -> str | None:
        """The class that ``member``, exactly so, was merged into."""
        return (self._by_class if member in self.merged else self._by_path).get(member)

    def after(self, change: Change) -> Classes:
        """The next version."""
        match change:
            case Merge():
                merged = {**self.merged, change.into: change.members}
            case Split():
                merged = {name: held for name, held in self.merged.items() if name != change.class_name}
            case Rename(old=old, new=new):
                merged = {
                    renamed(name, old, new): tuple(renamed(member, old, new) for member in members)
                    for name, members in self.merged.items()
                }
        return Classes(self.version + 1, merged)


class Taxonomy(Value):
    """All operations, oldest first; ``operations[n - 1]`` made version n."""

    operations: tuple[Operation, ...] = ()

    @property
    def version(self) -> int:
        """The newest version."""
        return len(self.operations)

    def at(self, version: int) -> Classes:
        """The classes as of ``version``.

        Raises:
            LookupError: there is no such version.
        """
        self._check(version)
        if version not in self._views:
            view = Classes(0, {})
            for operation in self.operations[:version]:
                view = view.after(operation.change)
            self._views[version] = view
        return self._views[version]

    def label_at(self, label: str, packed_version: int, wanted_version: int) -> str:
        """``label``, under the names of ``packed_version``, under those of ``wanted_version``.

        Raises:
            LookupError: one of the versions does not exist.
        """
        self._check(packed_version)
        self._check(wanted_version)
        for version, change in self._renames:
            if packed_version < version <= wanted_version:
                label = renamed(label, change.old, change.new)
        for version, change in reversed(self._renames):
            if wanted_version < version <= packed_version:
                label = renamed(label, change.new, change.old)
        return label

    def class_at(self, label: str, packed_version: int, wanted_version: int) -> str:
        """The class of ``wanted_version`` for a label under the names of ``packed_version``.

        Raises:
            LookupError: one of the versions does not exist.
        """
        return self.at(wanted_version).class_of(self.label_at(label, packed_version, wanted_version))

    def class_of(self, label: str) -> str:
        """The class of the newest version for a label under its names."""
        return self.at(self.version).class_of(label)

    def todays_label(self, label: str) -> str:
        """The newest name of what ``label`` names: former names stay aliases.

        One that would be too long for a label stays as it is.
        """
        today = self.label_at(label, 0, self.version)
        return today if len(today) <= LONGEST else label

    def _check(self, version: int) -> None:
        if not 0 <= version <= self.version:
            raise LookupError(f"there is no version {version} of the taxonomy; the newest is {self.version}")

    @cached_property
    def _renames(self) -> list[tuple[int, Rename]]:
        changes = ((operation.version, operation.change) for operation in self.operations)
        return [(version, change) for version, change in changes if isinstance(change, Rename)]

    @cached_property
    def _views(self) -> dict[int, Classes]:
        return {}


def _upwards(label: str) -> Iterator[str]:
    """The label, then each path above it."""
    yield label
    end = len(label)
    while (end := label.rfind(LEVEL, 0, end)) > 0:
        yield label[:end]
