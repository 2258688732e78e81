"""The errors of the evaluator that people are told."""

from __future__ import annotations


class ActionRefused(Exception):
    """What a person asked cannot be done; ``status`` is HTTP's for it (404, 409 or 422)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
