"""The demo's pictures, its own folder, and its account at the end."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.ops.clients.errors import OpsError
from services.ops.demo import account
from services.ops.demo.digits import NEAR_ORIGINALS, digits_material, read_digits
from services.ops.demo.folder import folder_material, late_classes, withhold
from services.ops.demo.house import MARKER, prepare
from services.ops.demo.material import Exhibit, Kind, Material
from services.ops.demo.trouble import png_bomb


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return digits_material(tmp_path_factory.mktemp("demo"), limit_per_class=30)


def test_there_are_500_real_digits_of_each_class() -> None:
    pixels, names = read_digits()
    assert pixels.shape == (5000, 28, 28)
    assert set(Counter(names).values()) == {500}
    assert len({one.tobytes() for one in pixels}) == 5000


def test_a_fifth_of_each_class_comes_without_a_label(digits: Material) -> None:
    for name in "0123456789":
        mine = [one for one in digits.exhibits if one.truth == name and one.kind is Kind.DISTINCT]
        assert sum(one.labelled for one in mine) == len(mine) * 4 // 5


def test_seven_classes_come_first_and_three_later(digits: Material) -> None:
    classes = [sorted({one.truth for one in digits.of_round(number) if one.truth}) for number in (1, 2)]
    assert classes == [list("0123456"), list("789")]
    assert len(digits.of_round(1)) + len(digits.of_round(2)) == len(digits.exhibits)


def test_60_near_copies_are_planted_behind_their_originals_with_the_same_label_state(
    digits: Material,
) -> None:
    assert digits.planted() == {"distinct": 300, "exact": 50, "near": 60, "out-of-scope": 52, "broken": 7}
    place = {one.file_name: number for number, one in enumerate(digits.exhibits)}
    for one in digits.exhibits:
        if one.kind is Kind.NEAR:
            number = int(one.path.name[:4])
            original = next(o for o in digits.exhibits if o.file_name == f"{one.truth}/{number:04}.png")
            assert number in NEAR_ORIGINALS
            assert place[original.file_name] < place[one.file_name]
            assert (original.labelled, original.round) == (one.labelled, one.round)


def test_exact_copies_have_the_bytes_or_the_pixels_of_an_original(digits: Material) -> None:
    originals = [one for one in digits.exhibits if one.kind is Kind.DISTINCT]
    by_bytes = {hashlib.sha256(one.path.read_bytes()).hexdigest() for one in originals}
    by_pixels = {Image.open(one.path).tobytes() for one in originals}
    copies = [one for one in digits.exhibits if one.kind is Kind.EXACT]
    assert {Image.open(one.path).tobytes() for one in copies} <= by_pixels
    assert sum(hashlib.sha256(one.path.read_bytes()).hexdigest() in by_bytes for one in copies) == 40


def test_a_hostile_name_travels_with_a_real_picture(digits: Material) -> None:
    [hostile] = [one for one in digits.exhibits if ".." in one.file_name]
    assert hostile.planned("01ARYZ6S41TSV4RRFFQ69G5FAV").benchmark == "out-of-scope"
    assert Image.open(hostile.path).size == (28, 28)
    assert {"<", '"', "'", "\N{FLAMINGO}"} <= set(hostile.file_name)


def test_the_bomb_is_a_valid_png_of_1_6_billion_pixels() -> None:
    data = png_bomb()
    assert len(data) < 2**20
    assert struct.unpack(">II", data[16:24]) == (40_000, 40_000)
    small = png_bomb(16)
    assert zlib.decompress(small[41 : 41 + struct.unpack(">I", small[33:37])[0]]) == bytes(16 * 3)


def test_too_small_a_demo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match="the demo needs 30"):
        digits_material(tmp_path, limit_per_class=5)


def test_own_pictures_are_split_so_that_more_classes_arrive_later(tmp_path: Path) -> None:
    for name, count in {"ant": 60, "bee": 50, "cat": 45, "dog": 41, "eel": 3}.items():
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}.jpg").write_bytes(f"{name}{number}".encode())
    material = folder_material(tmp_path)
    assert material.trainable(1, 40) == ["ant", "bee", "cat"]
    assert material.trainable(2, 40) == ["ant", "bee", "cat", "dog"]
    assert {one.truth for one in material.of_round(2)} == {"dog"}
    kept_back = Counter(one.truth for one in material.exhibits if not one.labelled)
    assert kept_back == {"ant": 12, "bee": 6, "cat": 1}
    assert material.compared
    assert "0 files came without a label" in " ".join(material.remarks)


def test_a_stray_file_does_not_count_as_pictures_without_label(tmp_path: Path) -> None:
    (tmp_path / "ant").mkdir()
    for number in range(60):
        (tmp_path / "ant" / f"{number}.jpg").write_bytes(f"{number}".encode())
    (tmp_path / "README.md").write_text("about ants")
    assert sum(not one.labelled for one in folder_material(tmp_path).exhibits) == 1 + 12


def test_labels_that_are_missing_already_are_enough(tmp_path: Path) -> None:
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "a.jpg").write_bytes(b"a")
    (tmp_path / "b.jpg").write_bytes(b"b")
    assert [one.labelled for one in folder_material(tmp_path).exhibits] == [True, False]


@given(st.dictionaries(st.sampled_from("abcdefg"), st.integers(min_value=0, max_value=100)))
def test_a_class_that_can_be_trained_stays_so(sizes: dict[str, int]) -> None:
    labels = {f"{name}/{number}": name for name, size in sizes.items() for number in range(size)}
    kept_back = withhold(labels)
    left = Counter(label for name, label in labels.items() if name not in kept_back)
    for name, size in sizes.items():
        assert left[name] >= 40 or size < 40
        assert size - left[name] <= size * 0.2


@pytest.mark.parametrize(
    ("counts", "late"),
    [({}, 0), ({"a": 40}, 0), ({"a": 40, "b": 41}, 0), (dict.fromkeys("abc", 40), 0),
     (dict.fromkeys("abcd", 40), 1), (dict.fromkeys("abcdefg", 40), 2), (dict.fromkeys("abcdefghij", 40), 3)],
)  # fmt: skip
def test_about_seven_tenths_of_the_classes_come_first(counts: dict[str, int], late: int) -> None:
    chosen, sentence = late_classes(counts)
    assert len(chosen) == late
    assert f"of {len(counts)} classes have" in sentence


def test_a_former_demo_is_wiped_and_the_rest_of_the_disk_is_not(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "keep.txt").write_text("keep")
    root = tmp_path / "demo"
    prepare(root)
    (root / "demo-images").mkdir()
    (root / "link").symlink_to(elsewhere)
    prepare(root)
    assert (root / MARKER).is_file()
    assert not (root / "demo-images").exists()
    assert (elsewhere / "keep.txt").read_text() == "keep"


def test_a_demo_may_not_wipe_what_no_demo_made(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{}")
    with pytest.raises(OpsError, match="no demo made"):
        prepare(tmp_path)


def exhibit(name: str, kind: Kind = Kind.DISTINCT, *, labelled: bool = True) -> Exhibit:
    return Exhibit(Path(name), name, kind, truth=name[0], labelled=labelled)


def test_the_account_tells_found_copies_from_false_alarms() -> None:
    exhibits = [exhibit("1a"), exhibit("1b"), exhibit("1c", Kind.NEAR), exhibit("2d", Kind.NEAR)]
    image_of = {one.file_name: one.file_name for one in exhibits}
    found = account.duplicates(exhibits, image_of, {"1b", "1c"})
    assert (found["found_near"], found["planted_near"], found["missed_near"]) == (1, 2, ["2d"])
    assert (found["distinct_flagged"], found["distinct_flagged_share"]) == (1, 0.5)


def test_only_right_answers_above_the_threshold_count() -> None:
    exhibits = [exhibit(name, labelled=False) for name in ("1a", "1b", "2c", "2d")] + [exhibit("3e")]
    image_of = {one.file_name: one.file_name for one in exhibits}
    answers = {
        "1a": {"label": "1", "confidence": 99.0},
        "1b": {"label": "1", "confidence": 94.9},
        "2c": {"label": "1", "confidence": 99.0},
        "3e": {"label": "3", "confidence": 99.0},
    }
    found = account.bulk_accuracy(exhibits, image_of, answers, 95.0)
    assert (found["unlabelled"], found["identified"], found["above"]) == (4, 3, 2)
    assert (found["right_share"], found["right_above_share"]) == (0.5, 0.25)


def curve(*values: float | None) -> list[dict[str, float | None]]:
    return [{"epoch": number, "val_accuracy": value} for number, value in enumerate(values, 1)]


def test_the_comparison_counts_epochs_to_the_best_from_scratch() -> None:
    found = account.comparison(curve(0.8, 0.97, 0.98), curve(0.3, 0.8, 0.9, 0.96, 0.95))
    assert found is not None
    assert (found["fine_tuned_epochs"], found["scratch_epochs"]) == (2, 4)
    never = account.comparison(curve(0.8, 0.9), curve(0.95))
    assert never is not None
    assert never["fine_tuned_epochs"] is None
    assert account.comparison(curve(None), curve(0.9)) is None


def test_a_broken_file_that_was_not_rejected_counts_as_accepted() -> None:
    exhibits = [exhibit("bomb.png", Kind.BROKEN), exhibit("moving.gif", Kind.BROKEN)]
    uploads = [{"file_name": "bomb.png", "state": "rejected", "code": "too-many-pixels"}]
    assert account.broken_ends(exhibits, uploads) == {
        "bomb.png": "rejected: too-many-pixels",
        "moving.gif": "accepted",
    }
