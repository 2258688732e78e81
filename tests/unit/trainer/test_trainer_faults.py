"""Which exceptions of a child say that memory ran out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from services.trainer.fitting.faults import out_of_memory


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (MemoryError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8 bytes"), True),
        (ValueError("12 images"), False),
    ],
)
def test_backends_are_known_by_the_names_and_words_of_their_exceptions(
    error: Exception, ran_out: bool
) -> None:
    assert out_of_memory(error) is ran_out


def test_numpy_and_opencv_without_memory_are_known() -> None:
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(2**60, np.uint8)
    assert out_of_memory(of_numpy.value)
    with pytest.raises(cv2.error) as of_opencv:
        cv2.copyMakeBorder(np.zeros((1, 1), np.uint8), 0, 2**29, 0, 2**30, cv2.BORDER_CONSTANT)
    assert out_of_memory(of_opencv.value)
    with pytest.raises(cv2.error) as other:
        cv2.resize(np.zeros((1, 1), np.uint8), (0, 0))
    assert not out_of_memory(other.value)
