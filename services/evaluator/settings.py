"""Settings of the evaluator, by environment (``MENAGERIE_*``)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.evaluator.domain.gate import Limits
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
    scoring_threads: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=_threads)

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
