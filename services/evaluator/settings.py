"""Settings of the evaluator, by environment (``MENAGERIE_*``)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from services.evaluator.domain.gate import Limits, Rule, read_rules, rules_for
from services.runtime.cores import usable_cores
from services.runtime.settings import RuntimeSettings

Percent = Annotated[float, Field(ge=0.0, le=100.0)]

MOST_THREADS = 8
"""More threads than this wait for each other on networks of this size."""


def _threads() -> int:
    return min(usable_cores(), MOST_THREADS)


class EvaluatorSettings(RuntimeSettings):
    """Numbers of the threshold report and the gate; the defaults are domain.md's."""

    confidence_threshold_percent: Percent = 95.0
    gate_difficult_true_positives_min_percent: Percent = 80.0
    gate_difficult_false_positives_max_percent: Percent = 5.0
    gate_out_of_scope_false_positives_max_percent: Percent = 10.0
    gate_most_common_errors_max_images: Annotated[int, Field(ge=0)] = 0
    gate_least_common_true_positives_min_percent: Percent = 100.0
    gate_rules_file: Path | None = None
    """TOML or JSON with the rules of the gate, in place of those of the numbers above."""
    scores_precision: Literal["float32", "float16"] = "float32"
    """Of the score matrix; float16 is half as large and moves a confidence by up to 0.025."""
    scoring_keep_every_s: Annotated[float, Field(ge=0)] = 3.0
    """A scoring that is killed loses the work of so long."""
    scoring_tell_every_s: Annotated[float, Field(ge=0)] = 10.0
    """Between two messages about the progress of a scoring."""
    scoring_left_over_days: Annotated[float, Field(gt=0)] = 7.0
    """A scoring that was begun and nobody went on with is removed from the work folder after so long."""
    lease_s: Annotated[float, Field(gt=0)] = 60.0
    """An evaluator that is held or cut off for so long loses its work to another."""
    explaining_idle_s: Annotated[float, Field(gt=0)] = 300.0
    """The process that explains ends when nobody asked for so long; it holds a network, about 0.7 GB."""
    explaining_limit_s: Annotated[float, Field(gt=0)] = 600.0
    """An explanation that takes longer is given up."""
    scoring_threads: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=_threads)

    @field_validator("gate_rules_file")
    @classmethod
    def _can_be_read(cls, file: Path | None) -> Path | None:
        if file is not None:
            _rules_of(file)
        return file

    def gate_rules(self) -> tuple[Rule, ...]:
        """The gate's rules: those of the file, or the domain's with the numbers of these settings."""
        return (
            rules_for(self.gate_limits()) if self.gate_rules_file is None else _rules_of(self.gate_rules_file)
        )

    def gate_limits(self) -> Limits:
        """The gate's numbers as the domain takes them."""
        return Limits(
            difficult_true_positives_min_percent=self.gate_difficult_true_positives_min_percent,
            difficult_false_positives_max_percent=self.gate_difficult_false_positives_max_percent,
            out_of_scope_false_positives_max_percent=self.gate_out_of_scope_false_positives_max_percent,
            most_common_errors_max_images=self.gate_most_common_errors_max_images,
            least_common_true_positives_min_percent=self.gate_least_common_true_positives_min_percent,
        )

    def scoring_env(self) -> dict[str, str]:
        """Environment of the scoring child: these settings, and TensorFlow on the CPU's threads."""
        return {
            **self.child_env(),
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "TF_NUM_INTRAOP_THREADS": str(self.scoring_threads),
            "TF_NUM_INTEROP_THREADS": "2",
            "OMP_NUM_THREADS": str(self.scoring_threads),
        }


def _rules_of(file: Path) -> tuple[Rule, ...]:
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"the gate's rules {file} cannot be read ({error}): name a TOML or JSON file"
        ) from error
    return read_rules(text, file.name)
