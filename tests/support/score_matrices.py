"""Score matrices of every kind that breaks a figure: ties, classes without images, one image, all wrong."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.evaluator.domain.answers import NO_CLASS

Scored = tuple[NDArray[np.float64], NDArray[np.int64]]


@st.composite
def scored(draw: st.DrawFn, lowest_truth: int = 0, min_images: int = 1) -> Scored:
    """Scores out of small whole weights, so that ties are common, and truths that leave classes out."""
    classes = draw(st.integers(4, 7))
    images = draw(st.integers(min_images, 25))
    top = draw(st.integers(0, classes - 1))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = random.integers(0, draw(st.sampled_from([2, 4, 1000])), (images, classes)).astype(np.float64)
    weights[weights.sum(axis=1) == 0] = 1.0
    truth = random.integers(lowest_truth, top + 1, images)
    if draw(st.booleans()):  # the first class has one image
        truth[truth == 0] = top
        truth[0] = 0
    if draw(st.booleans()):  # every answer is wrong
        known = truth != NO_CLASS
        weights[known, truth[known]] = 0.0
        weights[weights.sum(axis=1) == 0, top - 1] = 1.0
    return weights / weights.sum(axis=1, keepdims=True), truth


def softmax_scores(images: int, classes: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """As a trained network's: mostly right, most scores near 0."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, images)
    logits = random.normal(0, 2, (images, classes)).astype(np.float32)
    logits[np.arange(images), truth] += random.normal(9, 3, images).astype(np.float32)
    logits = np.exp(logits - logits.max(axis=1, keepdims=True))
    return logits / logits.sum(axis=1, keepdims=True), truth
