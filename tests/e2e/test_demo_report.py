"""The report of the model that the digits demo ends with: fetched by command, its figures computed again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.check_stack_report import stacks_report
from tests.support.demo_run import ask
from tests.support.report_check import differences

pytestmark = pytest.mark.e2e


def test_the_page_is_fetched_and_every_figure_is_what_plain_code_computes(
    digits_house: Path, tmp_path: Path
) -> None:
    told = ask(digits_house, "report", "--output", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert page.count('<img src="data:image/webp') > 24
    assert len(page) < 3_000_000
    filed = asyncio.run(stacks_report(digits_house, told["model_version"]))
    assert len(filed.results) > 3000
    assert differences(filed) == []
    flags = {group["name"] for one in filed.report["sets"] for group in one["per_flag"]}
    assert flags > {"none"}
