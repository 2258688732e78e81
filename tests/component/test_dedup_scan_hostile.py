"""A scan of what people, accidents and attackers leave in folders."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from services.dedup.scan import bounded, hashing, unfiltering
from services.dedup.scan.bounded import Bounds
from services.dedup.scan.decoding import Picture, decode
from services.dedup.scan.folder import Files, find
from services.dedup.scan.formats import NotAPicture
from services.dedup.scan.memory import Memory
from services.dedup.scan.reading import State
from services.dedup.scan.scanning import Readings, Scanner
from tests.support.mutations import good_files, mutated
from tests.support.pictures import bad_input, encoded, heic, noise, photos, with_orientation
from tests.support.scan_desk import ScanDesk

BOUNDS = Bounds()
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF")
NAMES = (
    b"new\nline.png", b"\x1b[31mred\x1b[0m.png", b"<img src=x onerror=alert(1)>.png", b"a\"b'c`d.png",
    b"\xff\xfe.png", "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe.png".encode(), b"-rf.png", b"=cmd|' '!A0.png",
)  # fmt: skip


def readings(folder: Path, bounds: Bounds = BOUNDS) -> tuple[Files, Readings]:
    bounded.prepare()
    hashing.warm_up()
    unfiltering.warm_up()
    files = find(folder)
    scanner = Scanner(files, Memory(None, ""), 2, bounds, lambda done: None)
    return files, scanner.read(iter(()))


def states(folder: Path) -> dict[str, tuple[State, str]]:
    files, made = readings(folder)
    return {
        os.fsdecode(name): (State(made.state[number]), made.reasons.get(number, ""))
        for number, name in enumerate(files.names)
    }


def test_bad_files_are_listed_with_the_reason_and_cost_no_neighbour(tmp_path: Path) -> None:
    for name, (content, _) in bad_input().items():
        (tmp_path / f"{name.replace('/', ' ')}.png").write_bytes(content)
    (tmp_path / "good.png").write_bytes(encoded(noise(30, 20)))
    found = states(tmp_path)
    assert found.pop("good.png") == (State.PICTURE, "")
    assert found.pop("a small PNG bomb.png")[0] is State.FLAT, "9 megapixels are none to this limit"
    assert {state for state, _ in found.values()} == {State.UNREADABLE}
    assert all(reason for _, reason in found.values())
    assert found["no bytes.png"][1] == "the file has no bytes"
    assert "64,000,000 pixels" in found["a PNG bomb.png"][1]


def test_what_claims_to_be_no_picture_and_is_none_is_no_news(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"Dear diary")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "picture without a suffix").write_bytes(encoded(noise(30, 20)))
    assert {name: state for name, (state, _) in states(tmp_path).items()} == {
        "notes.txt": State.OTHER,
        "empty": State.OTHER,
        "picture without a suffix": State.PICTURE,
    }


def test_every_format_is_read(tmp_path: Path) -> None:
    image = noise(40, 30)
    contents = {name: encoded(image, name) for name in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")}
    contents |= {
        "HEIC": heic(noise(64, 64)),
        "CMYK": encoded(image.convert("CMYK"), "JPEG"),
        "moving": encoded(image, "GIF", save_all=True, append_images=[noise(40, 30, 1)]),
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.jpg").write_bytes(content)
    assert {state for state, _ in states(tmp_path).values()} == {State.PICTURE}


def test_a_file_that_may_not_be_read_or_went_away_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(noise(9, 9)))
    (tmp_path / "b.png").write_bytes(encoded(noise(9, 8)))
    (tmp_path / "c.png").write_bytes(encoded(noise(9, 7)))
    files = find(tmp_path)
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").unlink()
    (tmp_path / "b.png").symlink_to("/etc/passwd")
    made = Scanner(files, Memory(None, ""), 1, Bounds(), lambda done: None).read(iter(()))
    assert made.reasons[0] == "No such file or directory"
    assert made.reasons[1] == "Too many levels of symbolic links"
    assert made.state[2] == State.PICTURE


def test_a_picture_that_needs_too_much_memory_is_listed(tmp_path: Path) -> None:
    Image.new("RGB", (7_000, 7_000)).save(tmp_path / "large.bmp")
    (tmp_path / "good.png").write_bytes(encoded(noise(30, 20)))
    _, made = readings(tmp_path, Bounds(memory_bytes=64 * 2**20))
    assert made.reasons == {1: "decoding it needs more memory than a file may take"}
    assert made.state[0] == State.PICTURE


def test_samples_of_16_bits_keep_their_high_byte_and_alpha_lies_on_black() -> None:
    image = next(photos(60, 40, 1)).convert("L")
    grey = np.asarray(image)
    assert np.array_equal(decode(encoded(Image.fromarray(grey.astype(np.uint16) * 257))).grey, grey)
    hidden = image.convert("RGBA")
    hidden.putalpha(Image.new("L", image.size, 0))
    assert not decode(encoded(hidden)).grey.any()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_compared_as_it_is_shown(orientation: int) -> None:
    image = noise(12, 8).resize((96, 64))
    stored = Image.open(io.BytesIO(with_orientation(image, orientation, "PNG")))
    made = decode(with_orientation(image, orientation, "PNG"))
    shown = ImageOps.exif_transpose(stored).convert("L")
    assert np.array_equal(made.grey, np.asarray(shown))
    assert (made.width_px, made.height_px) == shown.size


def test_a_large_jpeg_is_decoded_small_and_says_its_full_size() -> None:
    data = encoded(next(photos(1200, 900, 1)), "JPEG")
    made = decode(data)
    assert (made.width_px, made.height_px) == (1200, 900)
    assert min(made.grey.shape) >= 256
    full = hashing.hashes_of(np.array(Image.open(io.BytesIO(data)).convert("L"))).turned
    small = hashing.hashes_of(made.grey).turned
    assert full is not None
    assert small is not None
    apart = np.bitwise_count(np.frombuffer(full, np.uint8)[:32] ^ np.frombuffer(small, np.uint8)[:32]).sum()
    assert apart <= 2


@pytest.mark.parametrize("image_format", FORMATS)
def test_damaged_files_never_cost_more_than_themselves(image_format: str, tmp_path: Path) -> None:
    chance = random.Random(image_format)
    originals = good_files(image_format)
    for number in range(150):
        data = bytearray(chance.choice(originals))
        for _ in range(chance.randint(1, 4)):
            data[int(len(data) * chance.random() ** 3)] = chance.randrange(256)
        (tmp_path / f"{number:03d}.png").write_bytes(
            data[: chance.choice((None, None, None, chance.randrange(len(data))))]
        )
    (tmp_path / "good.png").write_bytes(originals[0])
    found = states(tmp_path)
    assert len(found) == 151
    assert found["good.png"][0] in {State.PICTURE, State.FLAT}
    assert {state for state, _ in found.values()} <= {State.PICTURE, State.FLAT, State.UNREADABLE}
    assert not [reason for _, reason in found.values() if "died" in reason]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.sampled_from(FORMATS).flatmap(mutated))
def test_whatever_the_bytes_do_ends_in_a_picture_or_a_reason(data: bytes) -> None:
    bounded.prepare()
    try:
        made = decode(data)
    except NotAPicture as error:
        reason = str(error)
        made = Picture(np.zeros((1, 1), np.uint8), 1, 1)
    else:
        reason = "none"
    assert reason
    assert reason.isprintable()
    assert made.grey.dtype == np.uint8
    assert made.width_px * made.height_px <= 64_000_000


def test_names_are_harmless_wherever_they_are_shown(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "beside").mkdir()
    desk = ScanDesk(tmp_path / "folder", tmp_path / "beside")
    picture = next(photos(90, 60, 1))
    for number, name in enumerate(NAMES):
        desk.put(name, encoded(picture.resize((90 + number, 60))))
    desk.put(b"bad\x1b[2J\n.png", b"\x1b[2J")
    sheet, table = desk.beside / "sheet.html", desk.beside / "found.csv"
    done = desk.run("--sheet", sheet, "--report", table, "--no-cache")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    html = sheet.read_text("utf-8")
    assert "<img src=x" not in html
    assert "\x1b" not in html
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in html
    assert b"\xff\xfe.png" in table.read_bytes(), "a table names files by the bytes that they have on disk"
    assert {row["file"] for row in desk.report()["unreadable"]} == {"bad\x1b[2J\n.png"}
