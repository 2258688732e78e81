"""``menagerie dataset`` against the real HTTP sides of trainer and ingest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contracts.manifests import DatasetSummary, SnapshotRow
from contracts.taxonomy import Merge
from contracts.training import DatasetRules
from contracts.values import Source
from services.ops.commands import session
from tests.support.dataset_desk import DatasetDesk, dataset_desk
from tests.support.library_desk import TOKEN
from tests.support.pictures import encoded, noise
from tests.support.snapshots import class_rows, image_name, snapshot_row
from tests.support.taxonomies import taxonomy_of

SMALL = DatasetRules(minimum_per_class=4, maximum_per_class=20, train_share=0.5, validation_share=0.2)


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatasetDesk]:
    with dataset_desk(tmp_path, capsys, monkeypatch) as made:
        yield made


def zoo() -> list[SnapshotRow]:
    return [
        *class_rows("robin", 45),
        *class_rows("wren", 12, 100, guest="ann", visit="friday"),
        *class_rows("owl", 3, 200),
        snapshot_row(300, None),
        snapshot_row(301, "robin", benchmark="difficult"),
        snapshot_row(302, "robin", source=Source.STAGED),
    ]


def test_show_tells_what_a_model_learned_from_and_what_a_class_still_needs(desk: DatasetDesk) -> None:
    desk.train(desk.pack("one", zoo()), SMALL)
    told = desk.ask("show")
    assert (told["model_version"], told["snapshot_id"], told["ancestors"]) == ("001", "one", [])
    summary = DatasetSummary.model_validate(told)
    assert (summary.rules, summary.images) == (SMALL, 63)
    assert summary.train + summary.validation + summary.test + summary.benchmark + summary.out == 63
    owl, robin, _ = summary.classes
    assert (owl.class_name, owl.class_index, owl.needed, owl.out) == ("owl", None, 1, 3)
    assert [(left.rule, left.images) for left in owl.left_out] == [("below-minimum", 3)]
    assert (robin.class_index, robin.needed, robin.real, robin.staged, robin.benchmark) == (0, 0, 46, 1, 1)
    assert desk.desk.type("dataset", "show", "--model", "001") == 0
    for words in ("Data set of model 001", "class below the minimum", "without a label", "robin"):
        assert words in " ".join(desk.desk.out.split())


def test_preview_answers_what_a_lower_minimum_would_give_and_keeps_nothing(desk: DatasetDesk) -> None:
    packed = desk.pack("one", zoo())
    desk.train(packed, SMALL)
    objects = len(desk.store.objects)
    told = desk.ask("preview", "--minimum-per-class", "3", "--maximum-per-class", "20")
    assert (told["model_version"], told["ancestors"], told["rules"]["minimum_per_class"]) == (
        None,
        ["001"],
        3,
    )
    owl = next(one for one in told["classes"] if one["class_name"] == "owl")
    assert (owl["needed"], owl["out"]) == (0, 0)
    scratch = desk.ask("preview", "--base", "scratch", "--train-share", "0.5", "--validation-share", "0.2")
    assert scratch["ancestors"] == []
    assert len(desk.store.objects) == objects
    assert "exceed 1" in desk.desk.fails("dataset", "preview", "--train-share", "1")


def test_a_preview_is_of_the_newest_snapshot_and_of_any_version_of_its_taxonomy(desk: DatasetDesk) -> None:
    apes = [*class_rows("chimp", 50), *class_rows("bonobo", 50, 100)]
    desk.pack("old", zoo())
    desk.pack("new", apes, hours=1, taxonomy=taxonomy_of(Merge(into="pan", members=("chimp", "bonobo"))))
    classes = [one["class_name"] for one in desk.ask("preview", "--taxonomy-version", "1")["classes"]]
    assert classes == ["pan"]
    assert [one["class_name"] for one in desk.ask("preview")["classes"]] == ["bonobo", "chimp"]
    assert desk.ask("preview", "--snapshot", "old")["images"] == 63
    assert "version 9 of the taxonomy" in desk.desk.fails("dataset", "preview", "--taxonomy-version", "9")
    assert "no snapshot 'gone'" in desk.desk.fails("dataset", "preview", "--snapshot", "gone")


def test_explain_tells_rule_visit_and_ancestors(desk: DatasetDesk) -> None:
    desk.train(desk.pack("one", zoo()), SMALL)
    desk.train(desk.pack("two", [*zoo(), *class_rows("owl", 5, 400)], hours=1), SMALL)
    first = {row.image_id: row for row in zoo()}
    told = desk.ask("explain", *first, "--model", "001")["images"]
    assert [one["image_id"] for one in told] == list(first)
    again = {one["image_id"]: one for one in desk.ask("explain", *first)["images"]}
    trained = [one["image_id"] for one in told if one["side"] == "train"]
    assert trained
    for image in trained:
        assert again[image]["side"] == "train"
        assert "model 001 trained on it" in again[image]["why"]
        assert again[image]["ancestors"] == [{"version": "001", "side": "train", "rule": "train"}]
    visit = again[image_name(100)]
    assert visit["unit_images"] == 12
    assert "'friday'" in visit["why"] or "model 001" in visit["why"]
    assert desk.desk.type("dataset", "explain", image_name(300)) == 0
    assert "It has no label" in " ".join(desk.desk.out.split())
    preview = desk.ask("explain", trained[0], "--preview")
    assert preview["model_version"] is None
    assert preview["ancestors"] == ["002", "001"]


def test_an_image_that_the_snapshot_does_not_hold_is_explained_by_the_library(desk: DatasetDesk) -> None:
    desk.train(desk.pack("one", zoo(), hours=-1), SMALL)
    house = desk.desk.house
    asyncio.run(house.take(house.put("upload-0001", encoded(noise(9, 9, 1)))))
    [row] = asyncio.run(house.rows())
    [late] = desk.ask("explain", row["image_id"][:8])["images"]
    assert (late["side"], "It is not in snapshot one" in late["why"]) == (None, True)
    assert "waits for dedup's verdict" in late["change"]
    [unknown] = desk.ask("explain", "ab" * 32)["images"]
    assert "does not know it either" in unknown["change"]


def test_what_there_is_not_is_said_in_one_sentence(desk: DatasetDesk) -> None:
    assert "there is no model 'newest'; none is trained yet" in desk.desk.fails("dataset", "show")
    packed = desk.pack("one", zoo())
    desk.train(packed, SMALL)
    assert "there is no model '007'; the newest are: 001" in desk.desk.fails(
        "dataset", "show", "--model", "007"
    )
    assert desk.desk.type("dataset", "show", "--model", "../7") == 2
    assert desk.desk.type("dataset", "explain", "abcdef", "--model", "001", "--preview") == 2
    del desk.store.objects[packed.manifest.bucket, packed.manifest.key]
    assert "can no longer be read" in desk.desk.fails("dataset", "show")


def test_hostile_labels_drive_no_terminal(desk: DatasetDesk) -> None:
    label = "[red]\u202e{minimum}\x1b[2J"
    desk.train(desk.pack("one", [*class_rows(label, 45), *class_rows("wren", 45, 100)]), SMALL)
    for arguments in (["show"], ["explain", image_name(0)]):
        assert desk.desk.type("dataset", *arguments) == 0
        assert "\u202e" not in desk.desk.out
        assert "\x1b" not in desk.desk.out
        assert "{minimum}" in desk.desk.out


def test_every_route_wants_the_token_and_refuses_what_it_does_not_know(desk: DatasetDesk) -> None:
    url = session.find_stack(None).urls["trainer"]
    assert httpx.get(f"{url}/api/v1/datasets/newest").status_code == 401
    for path in (
        "preview?minimum=3",
        "newest/images?image_id=ab",
        "x/images",
        "preview?validation_share=1",
        "preview?snapshot_id=a%00b",
    ):
        answer = httpx.get(f"{url}/api/v1/datasets/{path}", headers={"Authorization": f"Bearer {TOKEN}"})
        assert answer.status_code == 422, path
        assert answer.json()["detail"]
