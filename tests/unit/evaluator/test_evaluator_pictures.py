"""Pictures of the page: out of shards, small, within a budget; what cannot be shown is told."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import pytest
from PIL import Image

from services.evaluator.page.pictures import of_images, pictures
from services.runtime.objectstore import ObjectMissing


class Shelf(dict[str, bytes]):
    """Shards in memory, read as the object store reads them."""

    def read_range(self, bucket: str, key: str, offset: int, size: int) -> bytes:
        if key not in self:
            raise ObjectMissing(f"{bucket}/{key}")
        return self[key][offset : offset + size]


def png(side: int, shade: int = 200) -> bytes:
    held = io.BytesIO()
    Image.effect_noise((side, side // 2), shade).save(held, "png")
    return held.getvalue()


def row(store: Shelf, name: str, data: bytes, **change: Any) -> dict[str, Any]:
    store[f"{name}.tar"] = b"head" + data
    return {
        "image_id": name, "shard": f"{name}.tar", "offset": 4, "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    } | change  # fmt: skip


def shown(address: str | None) -> Image.Image:
    head, _, data = (address or "").partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_large_pictures_are_made_small_and_tiny_ones_keep_their_pixels() -> None:
    store = Shelf()
    digit = png(28)
    found = pictures(store, [row(store, "photo", png(500)), row(store, "digit", digit)])
    assert shown(found["photo"].address).size == (160, 80)
    assert (found["photo"].tiny, found["digit"].tiny) == (False, True)
    exact = Image.open(io.BytesIO(digit)).convert("RGB")
    assert shown(found["digit"].address).convert("RGB").tobytes() == exact.tobytes()


@pytest.mark.parametrize(
    ("change", "data", "told"),
    [
        ({"sha256": "0" * 64}, png(8), "missing from the snapshot"),
        ({"shard": "gone.tar"}, png(8), "missing from the snapshot"),
        ({}, b"no picture at all", "not readable"),
        ({}, png(64)[:-40], "not readable"),
    ],
)
def test_a_damaged_picture_is_told_and_the_others_are_shown(
    change: dict[str, Any], data: bytes, told: str
) -> None:
    store = Shelf()
    found = pictures(store, [row(store, "bad", data, **change), row(store, "good", png(8))])
    assert (found["bad"].address, found["bad"].missing) == (None, told)
    assert found["good"].address


def test_what_would_make_the_page_too_large_is_left_out_and_smaller_ones_still_fit() -> None:
    store = Shelf()
    rows = [row(store, name, png(side)) for name, side in (("a", 300), ("b", 300), ("c", 8))]
    size = len(pictures(store, rows[:1])["a"].address or "")
    found = of_images(store, rows, ["a", "b", "c", "nobodys", "a"])
    assert list(found) == ["a", "b", "c"]
    found = pictures(store, rows, most_bytes=size + 1500)
    assert [one.address is not None for one in found.values()] == [True, False, True]
    assert "too large" in found["b"].missing
