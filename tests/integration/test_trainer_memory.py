"""A run for which the memory does not suffice, for real: the child's is bounded by the kernel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from contracts.events import TrainFailed
from contracts.training import DatasetRules
from services.trainer.settings import TrainerSettings
from tests.support.digit_library import DigitLibrary
from tests.support.model_services import model_service_settings
from tests.support.servers import S3Server
from tests.support.trainer_house import QUICK, training
from tests.support.trainer_room import TrainerRoom

pytestmark = [pytest.mark.integration, pytest.mark.models]

SIDE_PX = 299
IMAGES = 40
ENOUGH_TO_BEGIN = 1_750_000_000
"""TensorFlow and the little network take 1.55 GB of it, a step on all the images more than another."""


@pytest.fixture
async def room(weed: S3Server, tmp_path: Path) -> AsyncIterator[TrainerRoom]:
    values = model_service_settings("trainer", weed, f"sqlite:///{tmp_path}/t.sqlite", tmp_path / "work")
    settings = TrainerSettings(**values, training_memory_bytes=ENOUGH_TO_BEGIN, training_threads=1)
    made = TrainerRoom(settings, weed.store(), "memory")
    yield made
    made.database.close()


async def test_a_run_without_enough_memory_ends_with_what_to_lower(room: TrainerRoom) -> None:
    library = DigitLibrary(room.objects, "memory", "", 0)
    for number in range(2 * IMAGES):
        pixels = np.full((SIDE_PX, SIDE_PX, 3), number, np.uint8)
        library.add_pixels(pixels, label="01"[number % 2], label_kind="class")
    packed = library.packed(image_size_px=SIDE_PX)
    await room.hear(packed)
    rules = DatasetRules(minimum_per_class=10, maximum_per_class=IMAGES)
    options = QUICK.model_copy(update={"batch_size": 2 * IMAGES})
    await room.hear(training("run-1", packed, options=options, rules=rules))
    (failed,) = await room.told()
    assert isinstance(failed, TrainFailed)
    assert "memory ran out" in failed.error
    assert "lower options.batch_size (now 80), choose a smaller network (now small_cnn)" in failed.remedy
