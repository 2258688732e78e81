"""Merges, splits, renames and undos in both databases: what they do to images, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from contracts.commands import (
    AssignLabel,
    AssignLabels,
    CloseDoubleCheck,
    GiveOpinion,
    MergeClasses,
    RenameClass,
    SplitClass,
    UndoTaxonomy,
)
from contracts.events import DoubleChecked, DoubleCheckRequested, ImageRelabelled, TaxonomyChanged
from contracts.message import Message
from contracts.taxonomy import Rename, Taxonomy
from contracts.values import LabelKind
from services.ingest.domain.faults import ActionRefused
from services.ingest.store.classes import label_counts
from services.ingest.store.tables import double_check, image, label_change, opinion, taxonomy_operation
from services.ingest.store.taxonomy import current_taxonomy
from services.runtime.delivery import Unprocessable
from tests.support.ingest_house import House
from tests.support.label_desk import ask, hear, of_kind, outcome, shelve

LIBRARY = [
    "chimp",
    "chimp",
    "bonobo",
    "gorilla",
    "flamingo/juvenile",
    "flamingo/adult",
    "flamingo",
    "Flamingo",
]


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    made = House(database_url, tmp_path / "work")
    yield made
    made.close()


@pytest.fixture
async def images(house: House) -> list[str]:
    """One image with each label of LIBRARY, in that order."""
    ids = await house.database.run(lambda unit: shelve(unit.connection, len(LIBRARY)))
    for number, (image_id, label) in enumerate(zip(ids, LIBRARY, strict=True)):
        await outcome(house, ask(AssignLabel, f"label-{number}", image_id=image_id, label=label))
    return ids


async def labels(house: House) -> list[str]:
    return [row["label"] for row in await house.rows()]


async def taxonomy(house: House) -> Taxonomy:
    return await house.database.read(current_taxonomy)


async def told(house: House, kind: type[Message]) -> list[Any]:
    return of_kind(await house.said(), kind)


async def queued(house: House, images: list[str]) -> list[int]:
    """Numbers of the images whose double-check is open."""
    rows = await house.rows(double_check)
    return [images.index(row["image_id"]) for row in rows if row["verdict"] is None]


async def merge(house: House, request_id: str, into: str, *members: str) -> dict[str, Any]:
    return await outcome(house, ask(MergeClasses, request_id, into=into, members=members))


async def test_a_merge_trains_sub_classes_as_one_and_leaves_their_labels(
    house: House, images: list[str]
) -> None:
    done = await merge(house, "merge-1", "chimp-bonobo", "chimp", "bonobo")
    assert (done["version"], done["images"]) == (1, 3)
    assert await labels(house) == LIBRARY
    assert (await taxonomy(house)).class_of("chimp") == "chimp-bonobo"
    (event,) = await told(house, TaxonomyChanged)
    assert (event.version, event.images, event.operation.by) == (1, 3, "ann")
    assert event.operation == (await taxonomy(house)).operations[0]


async def test_the_same_request_again_makes_no_other_version(house: House, images: list[str]) -> None:
    first = await merge(house, "merge-1", "chimp-bonobo", "chimp", "bonobo")
    assert await merge(house, "merge-1", "chimp-bonobo", "chimp", "bonobo") == first
    assert len(await house.rows(taxonomy_operation)) == 1


async def test_a_split_sends_every_image_of_the_class_to_double_check(
    house: House, images: list[str]
) -> None:
    await merge(house, "merge-1", "chimp-bonobo", "chimp", "bonobo")
    await merge(house, "merge-2", "great-ape", "chimp-bonobo", "gorilla")
    done = await outcome(house, ask(SplitClass, "split-1", class_name="great-ape", reason="too coarse"))
    assert (done["version"], done["images"]) == (3, 4)
    assert await queued(house, images) == [0, 1, 2, 3]
    now = await taxonomy(house)
    assert (now.class_of("chimp"), now.class_of("gorilla")) == ("chimp-bonobo", "gorilla")
    requested = await told(house, DoubleCheckRequested)
    assert {event.reason for event in requested} == {"split of 'great-ape': too coarse"}


async def test_images_that_are_no_longer_trained_on_are_not_double_checked(
    house: House, images: list[str]
) -> None:
    await merge(house, "merge-1", "chimp-bonobo", "chimp", "bonobo")
    rejected = ask(AssignLabel, "reject-1", image_id=images[0], label="chimp")
    await outcome(house, rejected.model_copy(update={"kind": LabelKind.REJECTED}))
    await outcome(house, ask(SplitClass, "split-1", class_name="chimp-bonobo"))
    assert await queued(house, images) == [1, 2]


async def test_undoing_a_split_merges_again_and_closes_what_nobody_answered(
    house: House, images: list[str]
) -> None:
    await merge(house, "merge-1", "chimp-bonobo", "chimp", "bonobo")
    before = (await taxonomy(house)).at(1).merged
    await outcome(house, ask(SplitClass, "split-1", class_name="chimp-bonobo"))
    await outcome(house, ask(CloseDoubleCheck, "checked-1", image_ids=images[:1], verdict="keep"))
    done = await outcome(house, ask(UndoTaxonomy, "undo-1", version=2))
    assert done["version"] == 3
    now = await taxonomy(house)
    assert now.at(3).merged == before
    assert now.operations[2].undoes == 2
    assert await queued(house, images) == []
    assert [event.image_id for event in await told(house, DoubleChecked)] == images[:3]


async def test_undoing_a_merge_is_a_split_with_its_double_check(house: House, images: list[str]) -> None:
    await merge(house, "merge-1", "chimp-bonobo", "chimp", "bonobo")
    await outcome(house, ask(UndoTaxonomy, "undo-1", version=1))
    assert (await taxonomy(house)).at(2).merged == {}
    assert await queued(house, images) == [0, 1, 2]


async def test_a_rename_relabels_all_below_and_keeps_every_old_label_in_the_history(
    house: House, images: list[str]
) -> None:
    done = await outcome(house, ask(RenameClass, "rename-1", old="flamingo", new="bird/pink"))
    assert done["images"] == 3
    renamed = ["bird/pink/juvenile", "bird/pink/adult", "bird/pink", "Flamingo"]
    assert await labels(house) == [*LIBRARY[:4], *renamed]
    rows = [row for row in await house.rows(label_change) if row["change_id"] == "rename-1"]
    assert [(row["previous_label"], row["label"], row["revision"]) for row in rows] == [
        (old, new, 2) for old, new in zip(LIBRARY[4:7], renamed, strict=False)
    ]
    assert {(row["label_kind"], row["previous_kind"], row["changed_by"]) for row in rows} == {
        ("class", "class", "ann")
    }
    events = await told(house, ImageRelabelled)
    assert [(e.image_id, e.previous_label, e.label, e.revision, e.change_id) for e in events] == [
        (image_id, old, new, 2, "rename-1")
        for image_id, old, new in zip(images[4:7], LIBRARY[4:7], renamed, strict=False)
    ]
    assert len(await house.rows(label_change)) == len(LIBRARY) + 3


async def test_a_rename_is_undone_by_another_one(house: House, images: list[str]) -> None:
    await merge(house, "merge-1", "chimp-bonobo", "chimp", "bonobo")
    await outcome(house, ask(RenameClass, "rename-1", old="chimp", new="pan/troglodytes"))
    await outcome(house, ask(UndoTaxonomy, "undo-1", version=2))
    assert await labels(house) == LIBRARY
    now = await taxonomy(house)
    assert now.operations[2].change == Rename(old="pan/troglodytes", new="chimp")
    assert now.at(3).merged == now.at(1).merged
    assert [row["revision"] for row in await house.rows(label_change) if row["image_id"] == images[0]] == [
        1,
        2,
        3,
    ]


async def test_a_former_name_means_what_it_was_given_up_for(house: House, images: list[str]) -> None:
    await outcome(house, ask(RenameClass, "rename-1", old="flamingo", new="pink"))
    given = ask(AssignLabels, "label-x", image_ids=images[:2], label="flamingo/juvenile")
    await outcome(house, given)
    assert (await labels(house))[:2] == ["pink/juvenile"] * 2
    done = await merge(house, "merge-1", "pink-birds", "flamingo")
    assert done["change"]["members"] == ["pink"]


async def test_an_opinion_follows_the_name(house: House, images: list[str]) -> None:
    """Or a rename would make everybody disagree with the label."""
    await outcome(house, ask(GiveOpinion, "opinion-1", image_id=images[0], label="bonobo", by="bob"))
    await outcome(house, ask(RenameClass, "rename-1", old="bonobo", new="pan"))
    assert [row["label"] for row in await house.rows(opinion)] == ["pan"]


async def test_a_refused_change_changes_nothing(house: House, images: list[str]) -> None:
    await merge(house, "merge-1", "chimp-bonobo", "chimp", "bonobo")
    before = await house.said()
    with pytest.raises(ActionRefused, match="already merged into 'chimp-bonobo'"):
        await merge(house, "merge-2", "great-ape", "bonobo", "gorilla")
    with pytest.raises(Unprocessable, match="'gorilla' is not a merged class"):
        await hear(house, ask(SplitClass, "split-1", class_name="gorilla"))
    assert await house.said() == before
    assert len(await house.rows(taxonomy_operation)) == 1


async def test_changes_asked_at_once_become_versions_one_after_another(
    house: House, images: list[str]
) -> None:
    asked = [
        merge(house, f"merge-{number}", f"class {number}", label)
        for number, label in enumerate(["chimp", "bonobo", "gorilla", "flamingo"])
    ]
    done = await asyncio.gather(*asked)
    assert sorted(one["version"] for one in done) == [1, 2, 3, 4]
    assert [operation.version for operation in (await taxonomy(house)).operations] == [1, 2, 3, 4]


async def test_one_request_heard_by_two_replicas_is_one_version(
    house: House, images: list[str], database_url: str, tmp_path: Path
) -> None:
    other = House(database_url, tmp_path / "other")
    asked = [merge(replica, "merge-1", "chimp-bonobo", "chimp", "bonobo") for replica in (house, other) * 2]
    done = await asyncio.gather(*asked, return_exceptions=True)
    # The second of a pair finds it done; its transaction is rolled back and the next attempt is told.
    assert {type(one) for one in done} <= {dict, IntegrityError}
    told_again = await merge(other, "merge-1", "chimp-bonobo", "chimp", "bonobo")
    assert all(one == told_again for one in done if isinstance(one, dict))
    assert len(await house.rows(taxonomy_operation)) == 1
    other.close()


async def test_labels_given_while_names_change_end_under_todays_names(
    house: House, images: list[str]
) -> None:
    """Whoever comes first: no label stays behind under a name that was given up."""
    says = [
        outcome(house, ask(AssignLabel, f"say-{round_}-{number}", image_id=image_id, label="chimp"))
        for round_ in range(2)
        for number, image_id in enumerate(images)
    ]
    says.insert(len(images), outcome(house, ask(RenameClass, "rename-1", old="chimp", new="pan")))
    await asyncio.gather(*says)
    assert await labels(house) == ["pan"] * len(images)


async def test_hostile_names_are_names(house: House, images: list[str]) -> None:
    hostile = "100%_'; DROP TABLE image; --/\U0001f9a9/\u202e<b>"
    await outcome(house, ask(RenameClass, "rename-1", old="flamingo", new=hostile))
    await merge(house, "merge-1", "all of _%", hostile, "chimp")
    await outcome(house, ask(RenameClass, "rename-2", old=hostile, new="flamingo"))
    assert await labels(house) == LIBRARY
    await merge(house, "merge-2", "x\0y", "a\0b")
    assert (await taxonomy(house)).at(4).members("x\ufffdy") == ("a\ufffdb",)


async def test_counts_of_labels_add_up_to_the_images(house: House, images: list[str]) -> None:
    counts = await house.database.read(label_counts)
    assert sum(count.images for count in counts) == len(images)
    total = await house.database.read(lambda c: c.scalar(sa.select(sa.func.count()).select_from(image)))
    assert total == len(images)
