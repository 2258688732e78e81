"""Explanations in the store, bucket reports: the picture first, then the word that it is there.

The document lies under a name that is known before; the picture is named by its content, so whoever reads
the one finds the other, whichever of two evaluators wrote last. What is damaged counts as absent.
"""

from __future__ import annotations

import hashlib

from pydantic import ValidationError

from contracts.manifests import Buckets
from contracts.values import ObjectRef, Value
from services.evaluator.domain.explaining.findings import Explanation
from services.runtime.objectstore import ObjectMissing, ObjectStore

MOST_BYTES = 2**18


class Kept(Value):
    """An explanation and its picture."""

    explanation: Explanation
    overlay: ObjectRef


def put(store: ObjectStore, prefix: str, explanation: Explanation, png: bytes) -> Kept:
    """Keep it; a second time changes nothing that is told."""
    digest = hashlib.sha256(png).hexdigest()
    overlay = store.put(Buckets.REPORTS, f"{prefix}/{digest[:16]}.png", png, "image/png")
    kept = Kept(explanation=explanation, overlay=overlay)
    store.put(Buckets.REPORTS, _place(prefix), kept.model_dump_json().encode(), "application/json")
    return kept


def find(store: ObjectStore, prefix: str) -> Kept | None:
    """What is kept, or None."""
    data = bytearray()
    try:
        for chunk in store.stream(Buckets.REPORTS, _place(prefix)):
            data += chunk
            if len(data) > MOST_BYTES:
                return None
        return Kept.model_validate_json(bytes(data))
    except (ObjectMissing, ValidationError):
        return None


def forget(store: ObjectStore, lost: Kept) -> None:
    """Its picture can no longer be read: the next who asks has it made again."""
    store.remove(Buckets.REPORTS, _place(lost.overlay.key.rpartition("/")[0]))


def _place(prefix: str) -> str:
    return f"{prefix}/explanation.json"
