"""The rules of the go / no-go as data: the domain's own, or those of a file.

Rules and numbers: domain.md section 3; the meaning of the most-common and least-common sets: section 2 and
part 2 of the articles ("again need to be correct, but reach ... the threshold").
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from contracts.values import Side
from services.evaluator.domain.sets import (
    DIFFICULT,
    LEAST_COMMON,
    MOST_COMMON,
    OUT_OF_SCOPE,
    benchmark_name,
)

Measure = Literal["images", "errors", "true positives", "false positives", "weighted log loss"]
Bound = Literal["at least", "at most", "not worse than production"]

COUNTED = ("images", "errors")
"""Their limit is a number of images; that of positives is a percentage of the set's images."""
LOSS: Measure = "weighted log loss"
NOT_WORSE: Bound = "not worse than production"
CONFIDENCE_PERCENT = 95.0
SENSIBLE: dict[str, Bound] = {
    "images": "at least", "errors": "at most", "true positives": "at least", "false positives": "at most",
}  # fmt: skip


class RulesRefused(ValueError):
    """The rules of a file cannot be used; the message says which, and how it should be."""


@dataclass(frozen=True)
class Rule:
    """``measure`` of set ``set_name`` must be at least or at most ``limit``, or not worse than production's.

    The limit is a number of images for images and errors, a percentage of the set's images for positives,
    and the confidence level in per cent for a comparison with production.
    """

    name: str
    set_name: str
    measure: Measure
    bound: Bound
    limit: float


@dataclass(frozen=True)
class Limits:
    """Numbers of the gate; the defaults are the domain's."""

    difficult_true_positives_min_percent: float = 80.0
    difficult_false_positives_max_percent: float = 5.0
    out_of_scope_false_positives_max_percent: float = 10.0
    most_common_errors_max_images: int = 0
    least_common_true_positives_min_percent: float = 100.0


def rules_for(limits: Limits) -> tuple[Rule, ...]:
    """All rules, in the order they are told."""
    return (
        Rule("test-images", Side.TEST.value, "images", "at least", 1),
        Rule("difficult-true-positives", DIFFICULT, "true positives", "at least",
             limits.difficult_true_positives_min_percent),
        Rule("difficult-false-positives", DIFFICULT, "false positives", "at most",
             limits.difficult_false_positives_max_percent),
        Rule("out-of-scope-false-positives", OUT_OF_SCOPE, "false positives", "at most",
             limits.out_of_scope_false_positives_max_percent),
        Rule("most-common-errors", MOST_COMMON, "errors", "at most", limits.most_common_errors_max_images),
        Rule("least-common-true-positives", LEAST_COMMON, "true positives", "at least",
             limits.least_common_true_positives_min_percent),
        Rule("not-worse-than-production", Side.TEST.value, LOSS, NOT_WORSE, CONFIDENCE_PERCENT),
    )  # fmt: skip


class _Written(BaseModel):
    """One rule as people write it; a misspelt word is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
    set: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    measure: Measure
    at_least: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    at_most: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    not_worse_than: Literal["production"] | None = None
    confidence_percent: Annotated[float, Field(ge=50, lt=100)] | None = None

    def rule(self) -> Rule:
        """The rule; raises RulesRefused when its words contradict each other."""
        bounds = [b for b in (self.at_least, self.at_most, self.not_worse_than) if b is not None]
        if len(bounds) != 1:
            raise RulesRefused("say exactly one of at_least, at_most and not_worse_than")
        if (self.measure == LOSS) != (self.not_worse_than is not None):
            raise RulesRefused(f'"{LOSS}" goes with not_worse_than = "production", and nothing else does')
        if self.not_worse_than is not None:
            level = self.confidence_percent or CONFIDENCE_PERCENT
            return Rule(self.name, benchmark_name(self.set), self.measure, NOT_WORSE, level)
        if self.confidence_percent is not None:
            raise RulesRefused("confidence_percent goes with not_worse_than only")
        bound: Bound = "at most" if self.at_least is None else "at least"
        limit = self.at_most if self.at_least is None else self.at_least
        assert limit is not None
        if self.measure in COUNTED and limit != int(limit):
            raise RulesRefused(f"{self.measure} are counted: {limit:g} must be a whole number of images")
        if self.measure not in COUNTED and limit > 100:
            raise RulesRefused(f"{limit:g} must be a percentage of the set's images, 0 to 100")
        if bound != SENSIBLE[self.measure]:
            asked = SENSIBLE[self.measure].replace(" ", "_")
            raise RulesRefused(
                f"{self.measure} are asked for by {asked}; the other would ask for a worse model"
            )
        return Rule(self.name, benchmark_name(self.set), self.measure, bound, limit)


def read_rules(text: str, file_name: str) -> tuple[Rule, ...]:
    """The rules of a TOML (``[[rules]]``) or JSON (``{"rules": [...]}``) file; they replace the domain's.

    Raises:
        RulesRefused: unreadable, no rule, a name twice, or a rule that cannot be; names file and rule.
    """
    rules = []
    for number, written in enumerate(_entries(text, file_name), start=1):
        name = written.get("name") if isinstance(written, dict) else None
        where = f"{file_name}, rule {number}{f' ({name})' if isinstance(name, str) else ''}"
        try:
            rules.append(_Written.model_validate(written).rule())
        except ValidationError as error:
            raise RulesRefused(f"{where}: {_problems(error)}") from error
        except RulesRefused as error:
            raise RulesRefused(f"{where}: {error}") from error
    _refuse_repeated([rule.name for rule in rules], file_name)
    return tuple(rules)


def _entries(text: str, file_name: str) -> list[Any]:
    try:
        if file_name.endswith(".toml"):
            document: Any = tomllib.loads(text)
        elif file_name.endswith(".json"):
            document = json.loads(text)
        else:
            raise RulesRefused(f"{file_name}: rules are read from a file that ends in .toml or .json")
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise RulesRefused(f"{file_name} cannot be read: {error}") from error
    entries = document.get("rules") if isinstance(document, dict) and set(document) == {"rules"} else None
    if not isinstance(entries, list) or not entries:
        raise RulesRefused(f'{file_name} must hold a list "rules" with at least one rule, and nothing else')
    return entries


def _problems(error: ValidationError) -> str:
    told = [f"{'.'.join(map(str, one['loc'])) or 'the rule'}: {one['msg']}" for one in error.errors()]
    return "; ".join(told)


def _refuse_repeated(names: Sequence[str], file_name: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RulesRefused(f"{file_name}: two rules are called {name}; give each a name of its own")
