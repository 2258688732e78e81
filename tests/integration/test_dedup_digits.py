"""The distance of the demo on the demo's own files, decoded as ingest decodes them."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.values import Orientation
from services.dedup.domain.alike import Likeness, likeness
from services.dedup.domain.fingerprint import HASH_BYTES, Fingerprint, fingerprint
from services.dedup.settings import DedupSettings
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, PictureRules
from services.ops.demo.digits import SETTINGS, digits_material
from services.ops.demo.material import Kind

RULES = PictureRules(image_size_px=28, thumbnail_px=28, max_pixels=1_000_000)
CHOSEN = {name: value for name, value in SETTINGS.items() if name in DedupSettings.model_fields}
LIMITS = DedupSettings.model_validate({"database_url": "sqlite://"} | CHOSEN).limits
Digits = dict[str, tuple[Kind, Fingerprint]]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """Kind and fingerprint by file name, 100 digits of each class with all that is planted."""
    found: Digits = {}
    for exhibit in digits_material(tmp_path_factory.mktemp("digits"), limit_per_class=100).exhibits:
        if exhibit.kind in {Kind.DISTINCT, Kind.NEAR}:
            normalised = normalise(exhibit.path.read_bytes(), RULES)
            assert isinstance(normalised, Normalised)
            found[exhibit.file_name] = (exhibit.kind, fingerprint(normalised.png, normalised.content))
    return found


@pytest.fixture(scope="module")
def flagged(digits: Digits) -> set[str]:
    """Files that are taken for a copy of a file before them, turned any way."""
    names, prints = list(digits), [found for _, found in digits.values()]
    upright = np.array([np.frombuffer(one.hash or b"", np.uint64) for one in prints])
    turned = np.array([np.frombuffer(one.turned or b"", np.uint64) for one in prints])
    found = set()
    for place, one in enumerate(prints):
        own = turned[place].reshape(len(Orientation), 1, HASH_BYTES // 8)
        bits = np.bitwise_count(own ^ upright[None, :place]).sum(axis=2, dtype=np.int64)
        for way, before in zip(*np.nonzero(bits <= LIMITS.search_bits), strict=True):
            turn, distance_bits = tuple(Orientation)[way], int(bits[way, before])
            if likeness(one, prints[before], distance_bits, turn, LIMITS) is Likeness.AUTOMATIC:
                found.add(names[place])
    return found


def test_every_planted_copy_is_found(digits: Digits, flagged: set[str]) -> None:
    planted = {name for name, (kind, _) in digits.items() if kind is Kind.NEAR}
    assert len(planted) == 60
    assert flagged >= planted


def test_fewer_than_2_percent_of_different_digits_are_flagged(digits: Digits, flagged: set[str]) -> None:
    different = {name for name, (kind, _) in digits.items() if kind is Kind.DISTINCT}
    assert len(flagged & different) < 0.02 * len(different)
