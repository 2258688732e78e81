"""The errors of ingest. None of them is a verdict on an upload."""

from __future__ import annotations


class IngestFault(Exception):
    """Base of what ingest raises by itself."""


class DecoderBroken(IngestFault):
    """The decoder fails on a picture that is known to be good, so it judges nobody's upload."""


class ImageNotYetKnown(IngestFault):
    """A fact about an image arrived before the image; the next attempt finds it."""


class ActionRefused(IngestFault):
    """What was asked cannot be done, however often; ``status`` is HTTP's for it (404, 409, 413 or 422)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
