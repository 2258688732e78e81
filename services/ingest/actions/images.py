"""The images that a request speaks of."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from contracts.values import ImageId
from services.ingest.domain.faults import ActionRefused, ImageNotYetKnown
from services.ingest.domain.labels import ImageLabel
from services.ingest.store import labels, uploads


def known_labels(connection: sa.Connection, image_ids: Iterable[ImageId]) -> dict[ImageId, ImageLabel]:
    """Labels of the images; their rows are locked.

    Raises:
        ActionRefused: an image is not in the library.
        ImageNotYetKnown: it is uploaded and not yet decoded.
    """
    wanted = set(image_ids)
    current = labels.lock_labels(connection, wanted)
    missing = wanted - current.keys()
    waiting = uploads.unsettled_images(connection, missing) if missing else frozenset()
    if missing - waiting:
        raise ActionRefused(
            404, f"no image {min(missing - waiting)} in the library; `menagerie images` lists those it has"
        )
    if waiting:
        raise ImageNotYetKnown(f"image {min(waiting)} is uploaded and not yet decoded; retry later")
    return current
