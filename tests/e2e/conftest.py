"""One run of the digits demo serves every end-to-end test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.demo_run import DemoResult, run_demo, stack_up


@pytest.fixture(scope="session")
def digits_demo(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """``menagerie demo --exit --json`` on all 5,000 digits."""
    return run_demo(tmp_path_factory.mktemp("digits") / "data")


@pytest.fixture(scope="session")
def digits_house(digits_demo: DemoResult) -> Iterator[Path]:
    """The data directory of that demo with its stack up again; tests may add to it."""
    with stack_up(digits_demo.data_dir):
        yield digits_demo.data_dir
