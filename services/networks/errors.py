"""What a person can act on when a network cannot be had."""

from __future__ import annotations


class NetworkRefused(Exception):
    """No network can be made as asked; trying again changes nothing until ``remedy`` is done."""

    def __init__(self, error: str, remedy: str) -> None:
        super().__init__(f"{error}; {remedy}")
        self.error = error
        self.remedy = remedy
