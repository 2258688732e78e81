"""Small libraries of made-up hashes for dedup's property tests."""

from __future__ import annotations

import hashlib

from hypothesis import strategies as st

from services.dedup.domain.groups import Judgement, RankedImage

MAX_DISTANCE_BITS = 2
"""Against hashes of 7 bits: most images have a neighbour, and chains are common."""


def image(upload: int, bits: int | None, twin: int = 0) -> RankedImage:
    """The image uploaded as number ``upload``; ``twin`` tells images of one upload number apart."""
    image_id = hashlib.sha256(f"{upload}/{twin}".encode()).hexdigest()
    return RankedImage(f"upload-{upload:06}", image_id, None if bits is None else bits.to_bytes(32))


def libraries(max_size: int = 24) -> st.SearchStrategy[list[RankedImage]]:
    """Lists of different images; some share a rank, some a hash, some have none."""
    one = st.builds(
        image,
        upload=st.integers(0, 30),
        bits=st.none() | st.integers(0, 127),
        twin=st.integers(0, 2),
    )
    return st.lists(one, max_size=max_size, unique_by=lambda made: made.image_id)


def bits_apart(one: RankedImage, other: RankedImage) -> int:
    """Hamming distance; 256 and more than any distance when either has no hash."""
    if one.hash is None or other.hash is None:
        return 1000
    return (int.from_bytes(one.hash) ^ int.from_bytes(other.hash)).bit_count()


def judged_from_scratch(library: list[RankedImage], max_distance_bits: int) -> dict[str, Judgement]:
    """The rule of the docs, as plainly as it can be said: what any other way must agree with."""
    verdicts: dict[str, Judgement] = {}
    for made in sorted(library):
        earlier = sorted(
            (bits_apart(made, other), other)
            for other in library
            if other < made and bits_apart(made, other) <= max_distance_bits
        )
        groups = [o.image_id for _, o in earlier if verdicts[o.image_id].group == o.image_id]
        nearest = earlier[0] if earlier else None
        verdicts[made.image_id] = Judgement(
            group=groups[0] if groups else made.image_id,
            duplicate_of=nearest[1].image_id if nearest else None,
            distance_bits=nearest[0] if nearest else None,
        )
    return verdicts
