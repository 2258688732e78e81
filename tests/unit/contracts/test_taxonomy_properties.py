"""What holds over every history of labels, merges, splits, renames and undos."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from contracts.taxonomy import Rename, Taxonomy
from services.ingest.domain.faults import ActionRefused
from tests.support.taxonomies import Labels, live, names, stories


@given(stories)
def test_every_image_is_in_exactly_one_class_of_every_version(story: list) -> None:
    def look(library: Labels) -> None:
        for version in range(library.taxonomy.version + 1):
            counted = [
                library.taxonomy.class_at(label, library.taxonomy.version, version)
                for label in library.labels
            ]
            assert len(counted) == len(library.labels)
        assert library.classes().total() == len(library.labels)

    live(story, look)


@given(stories)
def test_any_version_can_be_applied_to_labels_packed_under_any_other(story: list) -> None:
    """A label of the library at one version, converted, is what the library called it at the other."""
    library = live(story)
    for one, other in combinations(range(library.taxonomy.version + 1), 2):
        both = zip(library.packed[one], library.packed[other], strict=False)
        for earlier, later in both:
            assert library.taxonomy.label_at(earlier, one, other) == later
            assert library.taxonomy.label_at(later, other, one) == earlier


@given(stories)
def test_a_label_converted_to_any_version_and_back_is_itself(story: list) -> None:
    library = live(story)
    newest = library.taxonomy.version
    for label in library.labels:
        for version in range(newest + 1):
            there = library.taxonomy.label_at(label, newest, version)
            assert library.taxonomy.label_at(there, version, newest) == label


@given(stories)
def test_labels_have_todays_names_whatever_name_they_were_said_by(story: list) -> None:
    def look(library: Labels) -> None:
        for label in library.labels:
            assert library.taxonomy.todays_label(label) == label

    library = live(story, look)
    for labels in library.packed:
        assert {library.taxonomy.todays_label(label) for label in labels} <= set(library.labels)


@given(stories)
def test_old_versions_stay_as_they_were(story: list) -> None:
    seen: list[dict[str, tuple[str, ...]]] = [{}]

    def look(library: Labels) -> None:
        seen[library.taxonomy.version :] = [library.taxonomy.at(library.taxonomy.version).merged]
        fresh = Taxonomy.model_validate_json(library.taxonomy.model_dump_json())
        assert [fresh.at(version).merged for version in range(fresh.version + 1)] == seen

    live(story, look)


@given(stories)
def test_undo_restores_labels_and_classes_and_keeps_the_history(story: list) -> None:
    library = live(story)
    before = library.taxonomy
    if not before.version:
        return
    library.undo()
    assert library.taxonomy.operations[:-1] == before.operations
    assert library.taxonomy.at(before.version + 1).merged == before.at(before.version - 1).merged
    assert library.packed[-1][: len(library.packed[-3])] == library.packed[-3]
    library.undo()
    assert library.taxonomy.at(before.version + 2).merged == before.at(before.version).merged
    assert library.packed[-1] == library.packed[-3]


@given(stories, names, names)
def test_a_rename_moves_no_image_to_another_class(story: list, old: str, new: str) -> None:
    library = live(story)
    before = [library.taxonomy.class_of(label) for label in library.labels]
    try:
        library.rename(old, new)
    except ActionRefused:
        return
    after = [library.taxonomy.class_of(label) for label in library.labels]
    assert len(set(zip(before, after, strict=True))) == len(set(before)) == len(set(after))
    assert isinstance(library.taxonomy.operations[-1].change, Rename)


@given(stories, st.sampled_from("XYZ"), st.lists(names, min_size=1, max_size=3))
def test_a_merge_trains_all_below_its_members_as_one_class(
    story: list, into: str, members: list[str]
) -> None:
    library = live(story)
    today = [library.taxonomy.todays_label(member) for member in members]
    try:
        library.merge(into, members)
    except ActionRefused:
        return
    assert {library.taxonomy.class_of(member) for member in today} == {into}
    nested = {label for label in library.labels if library.taxonomy.class_of(label) == into}
    before = library.taxonomy.at(library.taxonomy.version - 1)
    moved = {label for label in library.labels if before.class_of(label) != library.taxonomy.class_of(label)}
    assert moved <= nested
