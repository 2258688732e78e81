"""What a comparison of two models says, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIGNIFICANT = 0.05


def comparison_sentences(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Two or three sentences of a comparison's figures (fct_model_comparisons)."""
    a, b, images = row["model_a"], row["model_b"], row["images"]
    if not images:
        return ("No image was left to compare on: both have learned from all of them, or know none of them.",)
    first = (
        f"Of {images:,} images that neither has learned from, model {b} is right where {a} was wrong on "
        f"{row['fixed']:,}, and wrong where {a} was right on {row['broken']:,}."
    )
    if row["fixed"] == row["broken"]:
        return first, "Neither is better."
    better = b if row["fixed"] > row["broken"] else a
    chance = row["p_value"]
    if chance < SIGNIFICANT:
        return first, f"Model {better} is better, and hardly by chance (p = {_small(chance)})."
    return first, f"Model {better} is ahead, but that can be chance (p = {_small(chance)})."


def _small(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
