"""Numbers of train requests and searches are numbers."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from contracts.training import Span


@pytest.mark.parametrize(
    "asked",
    [
        '{"low": 0, "high": Infinity}',
        '{"low": NaN, "high": 1}',
        '{"low": 0, "high": 1, "step": Infinity}',
    ],
)
def test_a_range_without_an_end_is_refused(asked: str) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Span.model_validate_json(asked)
