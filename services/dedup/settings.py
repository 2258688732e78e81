"""Settings of dedup, ``MENAGERIE_*``."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from services.dedup.domain.alike import Limits
from services.dedup.domain.fingerprint import HASH_BYTES
from services.runtime.settings import RuntimeSettings


class DedupSettings(RuntimeSettings):
    """The distance is a property of the library: photos and line art need different ones."""

    max_distance_bits: Annotated[int, Field(ge=0, lt=HASH_BYTES * 8)] = 72
    """Of 256. On photos 72 found 99 % of mildly altered copies with 2 false pairs in 315,598, and 80
    bits 7 (docs/decisions/0006); line art needs about 24. Up to it two upright pictures are duplicates
    without asking anybody. A change is applied to all stored images at the next start."""
    fetch_threads: Annotated[int, Field(ge=1, le=64)] = 8
    """Images fetched and fingerprinted at once."""
    vector_review_similarity: Annotated[float, Field(ge=0.0, le=1.0)] = 0.84
    """Cosine from which similarity vectors propose a pair to people (docs/duplicates.md)."""
    vector_review_per_1000: Annotated[int, Field(ge=0)] = 100
    """Pairs that vectors may bring people for each 1,000 new images, the most alike ones: an encoder that
    finds everything alike must not flood them."""

    @property
    def limits(self) -> Limits:
        """What distances mean: all that is decided without a person keeps to ``max_distance_bits``."""
        usual, bits = Limits(), self.max_distance_bits
        more = bits - usual.automatic_bits
        return replace(
            usual,
            automatic_bits=bits,
            review_bits=usual.review_bits + more,
            turned_automatic_bits=usual.turned_automatic_bits + more,
            turned_review_bits=usual.turned_review_bits + more,
            candidate_bits=max(usual.candidate_bits, bits),
            low_detail_automatic_bits=min(usual.low_detail_automatic_bits, bits),
            low_detail_turned_bits=min(usual.low_detail_turned_bits, bits),
        )
