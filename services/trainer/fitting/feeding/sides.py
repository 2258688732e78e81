"""The sides of a data set, ready to train on: fetched, verified as they are used, decoded once where kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from contracts.manifests import DatasetRow
from contracts.values import Side
from services.trainer.fitting.feeding.decoded import decoded_of
from services.trainer.fitting.feeding.examples import Examples, Part
from services.trainer.fitting.feeding.limits import FeedingLimits
from services.trainer.fitting.feeding.local_shards import LocalShards, OnRead, ShardStore
from services.trainer.fitting.feeding.places import places_of
from services.trainer.fitting.feeding.shard_examples import ShardExamples

TRAINED_ON = (Side.TRAIN, Side.VALIDATION)


@contextmanager
def open_sides(
    store: ShardStore,
    rows: Sequence[DatasetRow],
    image_size_px: int,
    work_dir: Path,
    limits: FeedingLimits | None = None,
    *,
    sides: Sequence[Side] = TRAINED_ON,
    on_read: OnRead = lambda here, wanted: None,
) -> Iterator[dict[Side, Examples]]:
    """Examples of each of ``sides``, in the order of ``rows``; they are good inside the block.

    Args:
        work_dir: ``shards`` in it has the copies, which any number of runs share.
        on_read: see OnRead; called in this thread.

    Raises:
        ObjectMissing, ObjectDamaged: a shard is not in the store, or gave fewer bytes than asked.
        MemberDamaged: an image is to lie beyond the end of its shard.
        TrainingError: the disk, or the setting shard_cache_bytes, has no room for the shards.
    """
    limits = limits or FeedingLimits()
    places = places_of(rows, sides)
    with LocalShards(store, work_dir / "shards", limits) as shards:
        shards.fetch(places, on_read)
        with closing(decoded_of(len(places), image_size_px, limits, work_dir)) as kept:
            examples = ShardExamples(shards, places, image_size_px, kept)
            yield {side: Part(examples, places.on(side)) for side in sides}
