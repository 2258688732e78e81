"""What provisioning did, and the one error it raises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class ProvisionError(Exception):
    """Something that stands there cannot be made into what is declared."""


@dataclass(frozen=True)
class Change:
    """One thing that was made or brought back to its declaration; ``fields`` are (was, is)."""

    kind: str
    name: str
    fields: Mapping[str, tuple[object, object]] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.fields:
            return f"{self.kind} {self.name}: created"
        told = ", ".join(f"{name} {was!s} -> {wanted!s}" for name, (was, wanted) in self.fields.items())
        return f"{self.kind} {self.name}: updated ({told})"


def differences(actual: object, declared: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """Fields of ``actual`` that are not as declared; lists count as sets."""
    found: dict[str, tuple[object, object]] = {}
    for name, wanted in declared.items():
        is_now = getattr(actual, name)
        if _plain(is_now) != _plain(wanted):
            found[name] = (is_now, wanted)
    return found


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, (list, tuple)) else value
