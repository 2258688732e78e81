"""What an epoch takes of the memory: batches ahead and what may be kept, however many the images are."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from contracts.training import TrainOptions
from contracts.values import Side
from services.trainer.fitting.feeding import Feed, FeedingLimits, open_sides
from tests.support.fed_shards import FedShards
from tests.support.servers import S3Server

SIZE_PX, BATCH = 64, 10
BATCH_BYTES = BATCH * SIZE_PX * SIZE_PX * 3


@pytest.mark.parametrize("kept_bytes", [0, 4 * BATCH_BYTES])
def test_an_epoch_takes_no_more_memory_of_more_images(
    weed: S3Server, tmp_path: Path, kept_bytes: int
) -> None:
    """Pictures of 12 KB; all of the 700 more would be 8.6 MB."""
    limits = FeedingLimits(decoded_memory_bytes=0, decoded_cache_bytes=kept_bytes)

    def peak(images: int) -> int:
        made = FedShards(weed.store(), f"feeding/{tmp_path.name}/{images}", images=images, size_px=SIZE_PX)
        with open_sides(weed.store(), made.rows, SIZE_PX, tmp_path, limits) as sides:
            fed = 0
            tracemalloc.start()
            try:
                for epoch in (1, 2):
                    feed = Feed(sides[Side.TRAIN], TrainOptions(), epoch, BATCH, workers=2)
                    fed += sum(len(batch.classes) for batch in feed)
                most = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert fed == 2 * (len(sides[Side.TRAIN]) // BATCH * BATCH)
        return most

    assert peak(800) < peak(100) + 2 * BATCH_BYTES
