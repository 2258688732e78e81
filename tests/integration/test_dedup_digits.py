"""The distance of the demo on the demo's own files, decoded as ingest decodes them."""

from __future__ import annotations

import pytest

from services.dedup.domain.fingerprint import fingerprint
from services.dedup.domain.index import HashIndex
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, PictureRules
from services.ops.demo.digits import SETTINGS, digits_material
from services.ops.demo.material import Kind

RULES = PictureRules(image_size_px=28, thumbnail_px=28, max_pixels=1_000_000)
MAX_DISTANCE_BITS = int(SETTINGS["max_distance_bits"])


@pytest.fixture(scope="module")
def hashes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Kind, bytes]]:
    """Kind and hash by file name, 100 digits of each class with all that is planted."""
    found = {}
    for exhibit in digits_material(tmp_path_factory.mktemp("digits"), limit_per_class=100).exhibits:
        if exhibit.kind in {Kind.DISTINCT, Kind.NEAR}:
            normalised = normalise(exhibit.path.read_bytes(), RULES)
            assert isinstance(normalised, Normalised)
            hash_ = fingerprint(normalised.png, normalised.content)
            assert hash_ is not None
            found[exhibit.file_name] = (exhibit.kind, hash_)
    return found


def flagged(hashes: dict[str, tuple[Kind, bytes]], kind: Kind) -> set[str]:
    """Files of that kind with another file within the distance before them."""
    index, found = HashIndex(), set()
    for position, (name, (own, hash_)) in enumerate(hashes.items()):
        if own is kind and index.near(hash_, MAX_DISTANCE_BITS):
            found.add(name)
        index.extend([(position, hash_)])
    return found


def test_every_planted_copy_is_found(hashes: dict[str, tuple[Kind, bytes]]) -> None:
    planted = {name for name, (kind, _) in hashes.items() if kind is Kind.NEAR}
    assert len(planted) == 60
    assert flagged(hashes, Kind.NEAR) == planted


def test_fewer_than_2_percent_of_different_digits_are_flagged(hashes: dict[str, tuple[Kind, bytes]]) -> None:
    different = [name for name, (kind, _) in hashes.items() if kind is Kind.DISTINCT]
    assert len(flagged(hashes, Kind.DISTINCT)) < 0.02 * len(different)
