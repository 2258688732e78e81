"""Why an image is in the queue, in words of people who know animals and no statistics."""

from __future__ import annotations

from services.reporter.web.formats import percent
from services.reporter.web.owners import Row

SETS = {
    "train": "train: the model has learned from this image, so a doubt here weighs more",
    "validation": "validation: it steered the training, the model did not learn from it",
    "test": "test: the model has never seen it",
}


def reason(doubt: Row) -> str:
    """One or two sentences."""
    label, other = doubt["label"], doubt["other"]
    of_label, of_other = percent(doubt["p_label"]), percent(doubt["p_other"])
    if doubt["suspicion"] == "mislabelled":
        return (
            f"The label is probably wrong. The model is as sure of “{other}” ({of_other}) as it usually "
            f"is of images that really show it, and gives the label “{label}” {of_label}."
        )
    if doubt["suspicion"] == "wrong":
        return (
            f"The model answers “{other}” ({of_other}) and not the label “{label}” ({of_label}). "
            "Either the label is wrong, or the image is a hard one."
        )
    if other is None:
        return f"The model agrees with the label “{label}” ({of_label})."
    return f"The model agrees with the label “{label}” ({of_label}); next comes “{other}” ({of_other})."


def set_told(name: str) -> str:
    """What the set means for the doubt."""
    return SETS.get(name, f"{name}: a benchmark, the model has never seen it")
