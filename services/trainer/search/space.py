"""What a search may try: each option's values, checked against the options of a fit before any trial."""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from contracts.commands import RequestSearch
from contracts.training import LearningRates, Span, TrainOptions
from services.trainer.domain.errors import TrainingError
from services.trainer.search.trials import Chosen, Scalar

RATES = "rates."
DIGITS = 12
"""Significant ones: 0 + 3 x 0.1 is 0.3, not 0.30000000000000004."""


@dataclass(frozen=True)
class Axis:
    """The values of one option: listed, or a range (``values`` is empty then)."""

    name: str
    values: tuple[Scalar, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    whole: bool = False

    @property
    def size(self) -> int | None:
        """How many values there are; None when endless."""
        if self.values:
            return len(self.values)
        if self.step is None:
            return 1 if self.low == self.high else None
        # A step of 0.1 fits 5 times into 0.5, whatever the floats say.
        return int((self.high - self.low) / self.step + 1e-9) + 1

    def at(self, position: int) -> Scalar:
        """The value at ``position`` of ``size``."""
        if self.values:
            return self.values[position]
        return self.tidy(self.low + position * (self.step or 0.0))

    def tidy(self, value: Scalar) -> Scalar:
        """A value as the options take it: whole numbers whole, no dust behind the twelfth digit."""
        if self.values:
            return value
        return round(float(value)) if self.whole else _tidy(float(value))


def options_to_search() -> dict[str, type]:
    """Every option that a space may name, with the type of its values."""
    own = {name: _kind(field.annotation) for name, field in TrainOptions.model_fields.items()}
    rates = {RATES + name: _kind(field.annotation) for name, field in LearningRates.model_fields.items()}
    return {name: kind for name, kind in (own | rates).items() if kind is not None}


def axes_of(request: RequestSearch) -> tuple[Axis, ...]:
    """The space, in the order of the request.

    Raises:
        TrainingError: an option is unknown, a value is not one of it, or a grid would be endless.
    """
    axes = tuple(_axis(name, asked, request.options) for name, asked in request.space.items())
    if request.method == "grid":
        for axis in axes:
            if axis.size is None:
                raise TrainingError(
                    f"space.{axis.name} is a range without end for a grid",
                    f"list the values of {axis.name}, give it a step, or search with method bayesian",
                )
    if request.rules.validation_share == 0:
        raise TrainingError(
            "trials are compared by their validation accuracy, and rules.validation_share is 0",
            "set rules.validation_share above 0",
        )
    return axes


def with_values(options: TrainOptions, chosen: Chosen) -> TrainOptions:
    """``options`` with the values of a trial.

    Raises:
        TrainingError: they refuse one.
    """
    fields = options.model_dump()
    for name, value in chosen.items():
        place = fields["rates"] if name.startswith(RATES) else fields
        place[name.removeprefix(RATES)] = value
    try:
        return TrainOptions.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        named = ".".join(map(str, first["loc"])) or ", ".join(chosen)
        raise TrainingError(
            f"space: {named} = {first['input']!r} cannot be trained with ({first['msg']})",
            f"leave the value out of space.{named}",
        ) from error


def size_of(axes: Sequence[Axis]) -> int | None:
    """How many different trials the space has; None when endless."""
    size = 1
    for axis in axes:
        if axis.size is None:
            return None
        size *= axis.size
    return size


def point(axes: Sequence[Axis], position: int) -> dict[str, Scalar]:
    """The values at ``position`` of ``size_of``, the last option's turning fastest."""
    chosen: dict[str, Scalar] = {}
    for axis in reversed(axes):
        assert axis.size is not None
        position, own = divmod(position, axis.size)
        chosen[axis.name] = axis.at(own)
    return {axis.name: chosen[axis.name] for axis in axes}


def shuffled(axes: Sequence[Axis], seed: int, most: int) -> list[dict[str, Scalar]]:
    """Up to ``most`` different points in a random order: a grid that is cut short has seen all corners."""
    size = size_of(axes)
    assert size is not None
    chance, wanted = random.Random(seed), min(most, size)  # noqa: S311 - an order, no secret
    if size <= sys.maxsize:
        return [point(axes, position) for position in chance.sample(range(size), wanted)]
    # Beyond what a range can count; of so many points hardly any is drawn twice.
    drawn: dict[int, None] = {}
    while len(drawn) < wanted:
        drawn[chance.randrange(size)] = None
    return [point(axes, position) for position in drawn]


def trials_at_most(request: RequestSearch, axes: Sequence[Axis]) -> int:
    """No point is tried twice, so a small space ends before ``request.trials``."""
    size = size_of(axes)
    return request.trials if size is None else min(request.trials, size)


def _axis(name: str, asked: Span | Sequence[Scalar], options: TrainOptions) -> Axis:
    known = options_to_search()
    if name not in known:
        raise TrainingError(f"space: there is no option {name!r}", f"name one of: {', '.join(sorted(known))}")
    axis = _span(name, asked, known[name]) if isinstance(asked, Span) else _listed(name, asked, known[name])
    for value in axis.values or (axis.tidy(axis.low), axis.tidy(axis.high)):
        with_values(options, {name: value})
    return axis


def _listed(name: str, values: Sequence[Scalar], kind: type) -> Axis:
    for value in values:
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise TrainingError(
                f"space.{name} lists {value!r}, and {name} takes {_NAMED[kind]}", f"correct space.{name}"
            )
    own = tuple(float(value) if kind is float else value for value in values)
    for value in own:
        if own.count(value) > 1:
            raise TrainingError(f"space.{name} lists {value!r} twice", f"leave one out of space.{name}")
    return Axis(name, values=own)


def _span(name: str, asked: Span, kind: type) -> Axis:
    if kind not in (int, float):
        raise TrainingError(
            f"space.{name} is a range of numbers, and {name} takes {_NAMED[kind]}",
            f"list the values of {name}",
        )
    whole = kind is int
    if whole:
        numbers = {"low": asked.low, "high": asked.high, "step": asked.step or 1.0}
        for end, number in numbers.items():
            if number != round(number):
                raise TrainingError(
                    f"space.{name}: {end} = {number:g}, and {name} takes whole numbers",
                    f"give whole numbers for space.{name}",
                )
    if asked.log and asked.step is not None and not (whole and asked.step == 1):
        raise TrainingError(
            f"space.{name} has both log and a step", f"leave one out of space.{name}, or list the values"
        )
    step = asked.step if asked.step is not None or not whole else 1.0
    high = asked.high
    if step is not None and not asked.log:
        high = asked.low + int((asked.high - asked.low) / step + 1e-9) * step
    return Axis(name, low=_tidy(asked.low), high=_tidy(high), log=asked.log, step=step, whole=whole)


def _tidy(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


_NAMED: Mapping[type, str] = {
    bool: "true or false",
    int: "whole numbers",
    float: "numbers",
    str: "one of its words",
}


def _kind(annotation: Any) -> type | None:
    """The type of an option's values; None for those that are no single value."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    if origin is Literal:
        return str
    if origin in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return _kind(parts[0]) if len(parts) == 1 else None
    return annotation if annotation in (bool, int, float, str) else None
