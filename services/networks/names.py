"""Names of the layers that every network has."""

from __future__ import annotations

IMAGE_LAYER = "image"
FEATURES_LAYER = "features"
"""Gives what the output layer judges by, before dropout: [N, F]."""
DROPOUT_LAYER = "dropout"
SCORES_LAYER = "scores"
"""The output layer: fine-tuning drops the layer of this name."""
