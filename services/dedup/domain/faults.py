"""The errors of dedup."""

from __future__ import annotations


class DedupFault(Exception):
    """Base of what dedup raises by itself."""


class ActionRefused(DedupFault):
    """What a person asked cannot be done; ``status`` is HTTP's for it (404, 409 or 422)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class NotYetKnown(ActionRefused):
    """What the request names is unknown; a message may be early, so its next attempt may find it."""

    def __init__(self, detail: str) -> None:
        super().__init__(404, detail)


class OtherLimits(DedupFault):
    """Another replica judges by other limits; verdicts of both would be a mixture."""
