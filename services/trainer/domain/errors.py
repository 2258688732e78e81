"""The trainer's error family: what a person can act on."""

from __future__ import annotations


class TrainingError(Exception):
    """The run cannot end with a model; trying again changes nothing until ``remedy`` is done."""

    def __init__(self, error: str, remedy: str) -> None:
        super().__init__(f"{error}; {remedy}")
        self.error = error
        self.remedy = remedy
