"""The errors of ingest. None of them is a verdict on an upload: the message is tried again."""

from __future__ import annotations


class IngestFault(Exception):
    """Base of what ingest raises by itself."""


class DecoderBroken(IngestFault):
    """The decoder fails on a picture that is known to be good, so it judges nobody's upload."""


class ImageNotYetKnown(IngestFault):
    """A fact about an image arrived before the image; the next attempt finds it."""
