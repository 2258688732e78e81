"""From measures to flags: which limit each flag has, and what a person can do."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from contracts.values import Flag, Measure, QualityFlag


@dataclass(frozen=True)
class QualityLimits:
    """The thresholds, named flag, direction, unit; docs/quality.md tells how they were found."""

    blurry_above_smoothness: float = 0.8
    dark_below_level: float = 110.0
    over_exposed_above_share: float = 0.25
    low_contrast_below_levels: float = 60.0
    near_uniform_below_levels: float = 24.0
    back_lit_above_share: float = 0.36
    tiny_above_enlargement: float = 2.0
    extreme_aspect_above_ratio: float = 3.0
    bordered_above_share: float = 0.02


DEFAULT_LIMITS = QualityLimits()


@dataclass(frozen=True)
class FlagRule:
    """The flag is raised when ``measure`` lies beyond the limit of that name."""

    flag: QualityFlag
    measure: str
    beyond: Literal["above", "below"]
    limit: str
    remedy: str


RULES = (
    FlagRule(
        QualityFlag.BLURRY, "smoothness", "above", "blurry_above_smoothness",
        "take it again with the subject in focus and the camera still",
    ),
    FlagRule(
        QualityFlag.DARK, "bright_level", "below", "dark_below_level", "take it again with more light",
    ),
    FlagRule(
        QualityFlag.OVER_EXPOSED, "clipped_share", "above", "over_exposed_above_share",
        "take it again with less exposure",
    ),
    FlagRule(
        QualityFlag.LOW_CONTRAST, "luma_range", "below", "low_contrast_below_levels",
        "go nearer, or avoid fog, haze and glass",
    ),
    FlagRule(
        QualityFlag.NEAR_UNIFORM, "luma_range", "below", "near_uniform_below_levels",
        "upload a picture that shows something",
    ),
    FlagRule(
        QualityFlag.BACK_LIT, "back_light", "above", "back_lit_above_share",
        "take it again with the light behind the camera",
    ),
    FlagRule(
        QualityFlag.TINY, "enlargement", "above", "tiny_above_enlargement",
        "upload the picture in its full size",
    ),
    FlagRule(
        QualityFlag.EXTREME_ASPECT, "aspect_ratio", "above", "extreme_aspect_above_ratio",
        "crop it to the subject",
    ),
    FlagRule(
        QualityFlag.BORDERED, "border_share", "above", "bordered_above_share", "crop its border off",
    ),
)  # fmt: skip
ANIMATED = Flag(flag=QualityFlag.ANIMATED, value=1, threshold=0)
"""One frame was taken of an animation."""


def flags(measures: Iterable[Measure], limits: QualityLimits, *, animated: bool = False) -> tuple[Flag, ...]:
    """The flags that the measures raise."""
    values = {item.name: item.value for item in measures}
    raised = [
        Flag(flag=rule.flag, value=values[rule.measure], threshold=getattr(limits, rule.limit))
        for rule in RULES
        if rule.measure in values and _beyond(values[rule.measure], getattr(limits, rule.limit), rule)
    ]
    return (*raised, ANIMATED) if animated else tuple(raised)


def refusal(raised: Iterable[Flag], refused: Collection[QualityFlag]) -> str | None:
    """Why a picture with these flags is refused, for its uploader; None when it is not."""
    reasons = [_reason(item) for item in raised if item.flag in refused]
    return "; ".join(reasons) or None


def _beyond(value: float, limit: float, rule: FlagRule) -> bool:
    return value > limit if rule.beyond == "above" else value < limit


def _reason(raised: Flag) -> str:
    if raised.flag == QualityFlag.ANIMATED:
        return "animated: the file holds more than one frame; upload the one frame that matters"
    rule = next(rule for rule in RULES if rule.flag == raised.flag)
    return (
        f"{rule.flag}: {rule.measure} {raised.value:g} is {rule.beyond} {raised.threshold:g}; {rule.remedy}"
    )
