"""The taxonomy: which class a sub-class is trained as, in every version there ever was.

A version is the state after so many operations; version 0 has none, and every label is its own class.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.message import UtcDatetime
from contracts.values import PersonName, Reason, Value

ClassName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


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


class Operation(Value):
    """What made ``version`` out of the version before it; ``undoes`` names the version it reverses."""

    version: Annotated[int, Field(ge=1)]
    change: Annotated[Merge | Split | Rename, Field(discriminator="kind")]
    undoes: int | None = None
    by: PersonName
    reason: Reason | None = None
    at: UtcDatetime


class Taxonomy(Value):
    """All operations, oldest first; ``operations[n - 1]`` made version n."""

    operations: tuple[Operation, ...] = ()

    @property
    def version(self) -> int:
        """The newest version."""
        return len(self.operations)
