"""The whole chain on 5,000 real handwritten digits: every number that issue 2 promises."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.check_stack_report import stacks_report
from tests.support.demo_run import DemoResult, ask, until
from tests.support.report_check import differences

pytestmark = pytest.mark.e2e

DIGITS, EXACT, NEAR, OUT_OF_SCOPE, BROKEN = 5000, 50, 60, 52, 7


def test_the_demo_ends_well_and_its_last_line_is_the_status(digits_demo: DemoResult) -> None:
    assert digits_demo.returncode == 0, digits_demo.progress[-4000:]
    assert digits_demo.report["demo"]["problems"] == []
    promised = {
        "services",
        "images",
        "snapshots",
        "models",
        "training",
        "bulk",
        "dead_letters",
        "backlog",
        "seconds",
        "demo",
    }
    assert set(digits_demo.report) == promised
    assert set(digits_demo.report["services"].values()) == {"ready"}


def test_every_file_ends_in_exactly_one_state(digits_demo: DemoResult) -> None:
    images = digits_demo.report["images"]
    assert images["uploaded"] == DIGITS + EXACT + NEAR + OUT_OF_SCOPE + BROKEN
    assert images["uploaded"] == images["accepted"] + images["exact_duplicates"] + images["rejected"]
    assert images["exact_duplicates"] == EXACT
    assert images["accepted"] == images["labelled"] + images["unlabelled"]
    assert images["rejected"] == sum(
        end.startswith("rejected") for end in digits_demo.report["demo"]["broken"].values()
    )


def test_files_that_are_no_pictures_are_rejected_with_a_reason(digits_demo: DemoResult) -> None:
    ends = digits_demo.report["demo"]["broken"]
    assert len(ends) == BROKEN
    for name, end in ends.items():
        assert end.startswith("rejected: ") or (end == "accepted" and name.endswith(".gif")), (name, end)
    assert ends["broken/bomb.png"] == "rejected: too-many-pixels"
    assert ends["broken/empty.png"] == "rejected: empty"


def test_every_planted_copy_is_found_and_hardly_a_distinct_digit_is_taken_for_one(
    digits_demo: DemoResult,
) -> None:
    found = digits_demo.report["demo"]["duplicates"]
    assert found["missed_near"] == []
    assert (found["found_near"], found["planted_near"]) == (NEAR, NEAR)
    assert found["distinct"] == DIGITS
    assert found["distinct_flagged_share"] < 0.02


def test_the_second_model_is_fine_tuned_from_the_first_and_good(digits_demo: DemoResult) -> None:
    first, second = digits_demo.report["models"]
    assert (first["version"], first["base_version"], first["class_count"]) == ("001", None, 7)
    assert (second["version"], second["base_version"], second["class_count"]) == ("002", "001", 10)
    assert {first["state"], second["state"]} == {"exported"}
    assert {first["gate"], second["gate"]} <= {"go", "no-go"}
    assert second["test_accuracy"] >= 0.93


def test_the_fine_tuned_run_stands_beside_a_run_from_random_weights(digits_demo: DemoResult) -> None:
    found = digits_demo.report["demo"]["comparison"]
    assert found["scratch_epochs"] >= 1
    assert "fine_tuned_epochs" in found
    assert set(digits_demo.report["demo"]["epochs"]) == {"001", "002", "scratch"}


def test_nine_of_ten_unlabelled_digits_are_named_rightly_above_the_threshold(digits_demo: DemoResult) -> None:
    found = digits_demo.report["demo"]["bulk"]
    assert found["model"] == "002"
    assert found["unlabelled"] == found["identified"] == DIGITS // 5
    assert found["right_above_share"] >= 0.90


def test_nothing_is_left_behind(digits_demo: DemoResult) -> None:
    assert digits_demo.report["dead_letters"] == 0
    assert sum(digits_demo.report["backlog"].values()) == 0


def test_a_second_up_continues_where_the_demo_stopped(digits_demo: DemoResult, digits_house: Path) -> None:
    status = ask(digits_house, "status")
    assert status["images"]["accepted"] == digits_demo.report["images"]["accepted"]
    assert status["models"] == digits_demo.report["models"]


def test_a_rebuilt_reporting_store_equals_the_one_it_replaces(digits_house: Path) -> None:
    rebuilt = ask(digits_house, "rebuild", "reporter")
    assert rebuilt["equal"]
    assert rebuilt["tables"]["dim_images"]["rows_after"] >= DIGITS
    assert all(table["equal"] for table in rebuilt["tables"].values())


def test_uploading_the_same_folder_twice_adds_no_image(digits_house: Path) -> None:
    before = ask(digits_house, "status")["images"]
    sent = ask(digits_house, "upload", str(digits_house / "demo-images" / "1"))
    assert sent["uploaded"] == DIGITS // 10

    def repeated() -> bool:
        now = ask(digits_house, "status")["images"]
        return now["exact_duplicates"] == before["exact_duplicates"] + DIGITS // 10

    until(repeated)
    after = ask(digits_house, "status")["images"]
    assert after["accepted"] == before["accepted"]
    assert after["uploaded"] == before["uploaded"] + DIGITS // 10


def test_a_hostile_name_is_kept_as_text(digits_house: Path) -> None:
    [image] = ask(digits_house, "images", "--file", "onerror")["images"]
    assert image["file_name"].startswith("../../etc/")
    assert image["benchmark"] == "out-of-scope"


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
