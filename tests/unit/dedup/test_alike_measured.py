from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.dedup.domain.alike import Likeness, Limits
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, PictureRules
from tests.benchmarks.calibrate_dedup import sections, written
from tests.support.measured_digits import table
from tests.support.measured_duplicates import NAMES, as_ingested, copies, read_library


def photo(seed: int) -> Image.Image:
    chance = np.random.default_rng(seed)
    coarse, fine = (
        Image.fromarray(chance.integers(0, 256, (cells, cells, 3), np.uint8)).resize(
            (160, 120), Image.Resampling.BICUBIC
        )
        for cells in (6, 24)
    )
    return Image.blend(coarse, fine, 0.5)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(2):
        photo(seed).save(folder / f"{seed}-photo.png")
    (tmp_path / "labels.csv").write_text("file,guest\n0-photo.png,a\n1-photo.png,b\n")
    return folder


def test_the_tables_of_a_small_library_are_complete_and_the_same_again(photos: Path) -> None:
    library = read_library(photos, every=1, processes=1)
    assert library.guests == ["a", "b"]
    made = sections(library, Limits())
    assert len(made["recall"]) > len(NAMES)
    assert "| JPEG 70 | 100.0 |" in "\n".join(made["recall"])
    assert any(line.startswith("| **automatic** | 0 |") for line in made["false pairs"])
    assert sections(read_library(photos, every=1, processes=1), Limits()) == made


def test_a_copy_in_another_size_is_found_in_every_orientation(photos: Path) -> None:
    library = read_library(photos, every=2, processes=1)
    for number, (_, name) in enumerate(NAMES):
        if name.startswith(("resized", "flip", "rotate ", "trans")):
            assert [one.like for one in copies(library, number, Limits())] == [Likeness.AUTOMATIC], name


def test_pictures_are_measured_as_ingest_makes_them() -> None:
    sink = io.BytesIO()
    photo(1).resize((700, 525)).save(sink, "PNG")
    made = normalise(sink.getvalue(), PictureRules(299, 96, 10**6))
    assert isinstance(made, Normalised)
    box = made.content
    with Image.open(io.BytesIO(made.png)) as square:
        content = square.crop((box.left, box.top, box.left + box.width, box.top + box.height))
    assert content.tobytes() == as_ingested(Image.open(sink).convert("RGB")).tobytes()


def test_different_digits_are_told_apart_and_their_copies_found() -> None:
    *_, row = table(Limits(), sides=(28,), every=20)
    assert "0 of 250 (0.00%)" in row
    assert row.count("100.0%") == 3


def test_a_document_without_the_markers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lacks the lines <!-- recall: written by calibrate_dedup -->"):
        written("# Nothing", "recall", [])
