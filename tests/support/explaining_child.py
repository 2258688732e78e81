"""An explaining child without a network: it keeps what it says at once, or misbehaves as the class asks.

Classes: ``hang`` answers nothing, ``die`` ends at once, ``nonsense`` gets an answer that is none, any other
is explained.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from services.evaluator.domain.explaining.findings import Explanation
from services.evaluator.explaining import kept
from services.evaluator.explaining.questions import Task
from services.evaluator.settings import EvaluatorSettings
from services.runtime.child import child_main
from services.runtime.objectstore import ObjectStore

PNG = b"\x89PNG of nothing"


def work(_spec: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Answer each line; ``passes`` is how many this child answered, its own among them."""
    store = ObjectStore(EvaluatorSettings())
    for number, line in enumerate(sys.stdin, 1):
        task = Task.model_validate_json(line)
        question = task.question
        if question.class_name == "hang":
            time.sleep(3600)
        if question.class_name == "die":
            os._exit(9)
        if question.class_name == "nonsense":
            tell({"refused": {}})
            continue
        said = Explanation(
            image_id=question.image_id, model_version=question.model_version, method=question.method,
            class_name=question.class_name or "red", answer="red", p_class=0.5, p_answer=0.9, passes=number,
            seconds=0.0, sentences=(f"by process {os.getpid()}",),
        )  # fmt: skip
        kept.put(store, question.prefix(task.model), said, PNG)
        tell({})
    return {}


if __name__ == "__main__":
    child_main(work)
