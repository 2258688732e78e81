"""Settings of dedup, ``MENAGERIE_*``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.dedup.domain.fingerprint import HASH_BYTES
from services.runtime.settings import RuntimeSettings


class DedupSettings(RuntimeSettings):
    """The distance is a property of the library: photos and line art need different ones."""

    max_distance_bits: Annotated[int, Field(ge=0, lt=HASH_BYTES * 8)] = 72
    """Of 256. On photos 72 found 99 % of mildly altered copies with 2 false pairs in 315,598, and 80
    bits 7 (docs/decisions/0006); line art needs about 24. A change is applied to all stored images
    at the next start."""
