"""A training child whose object store fails whatever it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.runtime.child import child_main
from services.trainer.domain.specs import Outcome


def work(_spec: dict[str, Any], _tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """A fault that is worth another try."""
    return Outcome(fault="MaxRetryError: the store is away").model_dump(mode="json")


if __name__ == "__main__":
    child_main(work)
