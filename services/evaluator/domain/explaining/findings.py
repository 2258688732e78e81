"""What an explanation says in numbers and words; nothing that it does not know."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import numpy as np
from pydantic import Field

from contracts.values import ImageId, ModelVersion, Value
from services.evaluator.domain.explaining.segments import Floats, Ints

REGIONS = 10
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")
POOR_FIT = 0.5
LITTLE = 0.05
"""Between the score of the picture and of the blurred one."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Method(StrEnum):
    """Ways of explaining (docs/evaluation.md, Explanations)."""

    GRAD_CAM = "grad-cam"
    LIME = "lime"
    SHAP = "shap"


class Region(Value):
    """A segment: what it adds to the score, its bounding box and its share of the picture."""

    effect: float
    left_px: int
    top_px: int
    width_px: int
    height_px: int
    share: Share


class Explanation(Value):
    """Why a model gives an image the score of a class."""

    image_id: ImageId
    model_version: ModelVersion
    method: Method
    class_name: str
    answer: str
    p_class: Share
    p_answer: Share
    p_hidden: Share | None = None
    """The score of the picture with every segment hidden."""
    focus: Share | None = None
    """Smallest share of the picture that holds half of what speaks for the class; None: nothing does."""
    place: str | None = None
    fit: float | None = None
    """LIME: R² of its straight-line model."""
    regions: tuple[Region, ...] = ()
    passes: int
    seconds: float
    sentences: tuple[str, ...] = ()


def focus_of(effects: Floats) -> float | None:
    """Of effects [S, S]; see Explanation.focus."""
    positive = np.sort(np.maximum(effects, 0.0).ravel())[::-1]
    total = float(positive.sum())
    if total <= 0.0:
        return None
    needed = int(np.searchsorted(np.cumsum(positive), total / 2)) + 1
    return min(needed, positive.size) / positive.size


def place_of(effects: Floats) -> str | None:
    """Where what speaks for the class has its middle: a ninth of the picture; None: nothing does."""
    positive = np.maximum(effects, 0.0)
    total = float(positive.sum())
    if total <= 0.0:
        return None
    side = positive.shape[0]
    ticks = np.arange(side) + 0.5
    row, column = (int(min(2, positive.sum(axis) @ ticks / total / side * 3)) for axis in (1, 0))
    return "centre" if (row, column) == (1, 1) else f"{ROWS[row]} {COLUMNS[column]}"


def regions_of(segments: Ints, effects: Floats) -> tuple[Region, ...]:
    """The segments [S, S] with the largest effects [M], either way."""
    made = []
    for number in np.argsort(-np.abs(effects), kind="stable")[:REGIONS]:
        rows, columns = np.nonzero(segments == number)
        if effects[number]:
            region = Region(
                effect=round(float(effects[number]), 6),
                left_px=int(columns.min()),
                top_px=int(rows.min()),
                width_px=int(np.ptp(columns)) + 1,
                height_px=int(np.ptp(rows)) + 1,
                share=len(rows) / segments.size,
            )
            made.append(region)
    return tuple(made)


def sentences_of(told: Explanation) -> tuple[str, ...]:
    """What a person reads under the picture: the answer, what the colours show, how far to believe them."""
    name = told.class_name
    first = f"Model {told.model_version} gives {name} {_percent(told.p_class)}"
    if name != told.answer:
        first += f"; its answer is {told.answer}, with {_percent(told.p_answer)}"
    if told.focus is None:
        nothing = f"Nothing in the picture speaks for {name} by this method."
        return (f"{first}.", nothing, *_limits(told))
    where = f"half of it lies in {_percent(told.focus)} of the picture, around its {told.place}."
    if told.method == Method.GRAD_CAM:
        heat = f"Yellow to red is where the network found what speaks for {name}; {where}"
        return (f"{first}.", heat, *_limits(told))
    colours = f"Yellow to red is what speaks for {name}, blue what speaks against it; {where}"
    hidden = f"With the whole picture blurred the score is {_percent(told.p_hidden or 0.0)}."
    return (f"{first}.", colours, hidden, *_limits(told))


def _limits(told: Explanation) -> tuple[str, ...]:
    """What the method cannot tell."""
    rise = told.p_class - (told.p_hidden or 0.0)
    match told.method:
        case Method.GRAD_CAM:
            limit = (
                "It tells where, not what nor how much, and only as finely as the network's last map: heat "
                "on the animal does not prove that the answer is right."
            )
            return (limit,)
        case Method.LIME:
            limit = "It tells which parts move the score when they are blurred, as if each acted alone."
            if told.fit is not None and told.fit < POOR_FIT:
                limit += f" Here they do not (its fit is {_percent(max(told.fit, 0.0))}): ask shap instead."
        case Method.SHAP:
            limit = (
                f"The effects of all parts add up to the {100 * rise:+.1f} points between the two; parts "
                "that need each other share what they do together."
            )
    if abs(rise) >= LITTLE:
        return (limit,)
    return (limit, "The picture hardly moves this score, so the colours show little more than noise.")


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f} %" if 0.05 <= percent < 99.95 else f"{percent:.3g} %"
