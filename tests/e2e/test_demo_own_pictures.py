"""The same chain on a folder of one's own: photographs where they lie at hand, drawn shapes elsewhere."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.support.demo_run import ROOT, run_demo

pytestmark = pytest.mark.e2e

WILDLIFE = ROOT.parent / "shared" / "data" / "wildlife"


def draw(folder: Path, name: str, count: int) -> None:
    """Pictures of one class: a shape of its own at random places, sizes and shades."""
    chance = random.Random(name)
    (folder / name).mkdir(parents=True)
    for number in range(count):
        picture = Image.effect_noise((96, 80), 40).convert("RGB")
        draw = ImageDraw.Draw(picture)
        x, y, size = chance.randrange(10, 50), chance.randrange(5, 40), chance.randrange(18, 36)
        shade = tuple(chance.randrange(120, 256) for _ in range(3))
        box = (x, y, x + size, y + size)
        if name == "circle":
            draw.ellipse(box, fill=shade)
        elif name == "square":
            draw.rectangle(box, fill=shade)
        elif name == "cross":
            draw.line(box, fill=shade, width=6)
            draw.line((x, y + size, x + size, y), fill=shade, width=6)
        else:
            draw.polygon((x, y + size, x + size, y + size, x + size / 2, y), fill=shade)
        picture.save(folder / name / f"{number:03}.jpg", quality=90)


def test_ones_own_classes_are_trained_and_the_rest_stays_in_the_library(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    for name, count in {"circle": 60, "square": 60, "cross": 60, "triangle": 60, "few": 5}.items():
        draw(pictures, name, count)
    (pictures / "notes.txt").write_text("not a picture")
    done = run_demo(tmp_path / "data", "--images", str(pictures))
    assert done.returncode == 0, done.progress[-4000:]
    images = done.report["images"]
    assert (images["uploaded"], images["rejected"]) == (246, 1)
    assert images["uploaded"] == images["accepted"] + images["exact_duplicates"] + images["rejected"]
    assert [model["class_count"] for model in done.report["models"]] == [3, 4]


def test_too_few_pictures_are_stored_and_told_without_an_error(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    draw(pictures, "circle", 8)
    draw(pictures, "square", 3)
    done = run_demo(tmp_path / "data", "--images", str(pictures))
    assert done.returncode == 0, done.progress[-4000:]
    assert (done.report["images"]["accepted"], done.report["models"]) == (11, [])
    assert "no model is trained" in done.progress


@pytest.mark.skipif(not WILDLIFE.is_dir(), reason="the photographs are not part of the repository")
def test_every_wildlife_photograph_ends_in_one_state_and_large_classes_are_trained(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "data", "--images", str(WILDLIFE))
    assert done.returncode == 0, done.progress[-4000:]
    images = done.report["images"]
    assert images["uploaded"] == 1079 + 1  # the folder's own README is no picture
    assert images["uploaded"] == images["accepted"] + images["exact_duplicates"] + images["rejected"]
    # Seven classes have 40 labelled photographs or more; five of them open the zoo.
    assert [model["class_count"] for model in done.report["models"]] == [5, 7]
    assert done.report["dead_letters"] == 0
