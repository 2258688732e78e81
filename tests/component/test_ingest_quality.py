"""What a person is told of a picture's quality: events, rows and rejections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import ValidationError

from contracts.events import ImageAccepted, ImageFlagged, ImageRejected
from contracts.values import QualityFlag, RejectCode
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, PictureRules, Rejection
from services.ingest.domain.quality.flags import QualityLimits
from services.ingest.settings import IngestSettings
from services.ingest.store.tables import image_flag
from services.ingest.store.tables import upload as upload_rows
from tests.support import defects
from tests.support.ingest_house import House, InlineDecoder
from tests.support.pictures import encoded, noise

LIMITS = QualityLimits()
GOOD = encoded(noise(64, 48, 1))
SMALL_STRIP = encoded(noise(30, 6, 2))


class StrictDecoder(InlineDecoder):
    """With the limits that a library starts with."""

    def __init__(self, *refused: QualityFlag) -> None:
        super().__init__()
        self.rules = PictureRules(64, 32, 4_000_000, reject_flags=refused)

    async def decode(self, files: Sequence[bytes]) -> list[Normalised | Rejection]:
        return [normalise(data, self.rules) for data in files]


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def build(*refused: QualityFlag) -> House:
        house = House(
            f"sqlite:///{tmp_path}/ingest.sqlite", tmp_path / "work", decoder=StrictDecoder(*refused)
        )
        made.append(house)
        return house

    yield build
    for house in made:
        house.close()


async def test_a_doubtful_image_is_accepted_and_flagged_in_one_transaction(
    open_house: Callable[..., House],
) -> None:
    house = open_house()
    await house.take(house.put("upload-0001", SMALL_STRIP))
    accepted, flagged = await house.said()
    assert isinstance(accepted, ImageAccepted)
    assert isinstance(flagged, ImageFlagged)
    assert (flagged.image_id, flagged.revision) == (accepted.image_id, 1)
    assert flagged.flagged_at == accepted.accepted_at
    assert [(item.flag, item.threshold) for item in flagged.flags] == [
        (QualityFlag.TINY, LIMITS.tiny_above_enlargement),
        (QualityFlag.EXTREME_ASPECT, LIMITS.extreme_aspect_above_ratio),
    ]
    assert [item.value for item in flagged.flags] == [pytest.approx(64 / 30, abs=1e-4), 5]
    values = {item.name: item.value for item in accepted.quality}
    assert (values["enlargement"], values["aspect_ratio"]) == tuple(item.value for item in flagged.flags)


async def test_flags_and_measures_are_kept_with_the_image(open_house: Callable[..., House]) -> None:
    house = open_house()
    await house.take(
        house.put("upload-0001", SMALL_STRIP, visit="v1", tags=("night", "zoo"), upstream_id="zoo/7")
    )
    accepted, flagged = await house.said()
    assert isinstance(accepted, ImageAccepted)
    assert isinstance(flagged, ImageFlagged)
    [row] = await house.rows()
    assert (row["width_px"], row["height_px"], row["image_format"]) == (30, 6, "PNG")
    assert row["quality"] == [item.model_dump() for item in accepted.quality]
    assert (row["visit"], row["tags"]) == ("v1", ["night", "zoo"])
    assert (accepted.visit, accepted.tags, accepted.upstream_id) == ("v1", ("night", "zoo"), "zoo/7")
    [kept_upload] = await house.rows(upload_rows)
    assert kept_upload["upstream_id"] == "zoo/7"
    kept = {(r["image_id"], r["flag"], r["value"], r["threshold"]) for r in await house.rows(image_flag)}
    assert kept == {(accepted.image_id, item.flag, item.value, item.threshold) for item in flagged.flags}


async def test_a_good_image_is_measured_and_not_flagged(open_house: Callable[..., House]) -> None:
    house = open_house()
    await house.take(house.put("upload-0001", GOOD))
    [accepted] = await house.said()
    assert isinstance(accepted, ImageAccepted)
    assert {item.name for item in accepted.quality} >= {"smoothness", "bright_level", "border_share"}
    assert await house.rows(image_flag) == []


async def test_redelivery_and_a_repeat_flag_nothing_again(open_house: Callable[..., House]) -> None:
    house = open_house()
    first = house.put("upload-0001", SMALL_STRIP)
    house.database.after = frozenset({1})
    with pytest.raises(ConnectionError):
        await house.take(first)
    await house.take(first, house.put("upload-0002", SMALL_STRIP))
    await house.take(first)
    assert await house.told() == {"image.accepted": 1, "image.flagged": 1, "image.repeated": 1}
    assert len(await house.rows(image_flag)) == 2


async def test_a_crash_before_the_commit_leaves_neither_image_nor_flag(
    open_house: Callable[..., House],
) -> None:
    house = open_house()
    upload = house.put("upload-0001", SMALL_STRIP)
    house.database.before = frozenset({1})
    with pytest.raises(ConnectionError):
        await house.take(upload)
    assert (await house.said(), await house.rows(image_flag)) == ([], [])


async def test_flags_reject_only_when_the_library_says_so(open_house: Callable[..., House]) -> None:
    house = open_house(QualityFlag.TINY)
    await house.take(house.put("upload-0001", SMALL_STRIP), house.put("upload-0002", GOOD))
    [rejected] = [message for message in await house.said() if isinstance(message, ImageRejected)]
    assert (rejected.upload_id, rejected.code) == ("upload-0001", RejectCode.QUALITY)
    assert rejected.detail == "tiny: enlargement 2.1333 is above 2; upload the picture in its full size"
    assert await house.told() == {"image.accepted": 1, "image.rejected": 1}
    rows = {row["upload_id"]: row for row in await house.rows(upload_rows)}
    assert rows["upload-0001"]["reject_code"] == RejectCode.QUALITY
    assert rows["upload-0001"]["detail"] == rejected.detail
    assert await house.rows(image_flag) == []


async def test_a_flag_that_is_not_refused_still_only_informs(open_house: Callable[..., House]) -> None:
    house = open_house(QualityFlag.BLURRY)
    await house.take(house.put("upload-0001", SMALL_STRIP))
    assert await house.told() == {"image.accepted": 1, "image.flagged": 1}


def test_the_settings_start_with_the_calibrated_limits_and_refuse_nothing() -> None:
    rules = IngestSettings().picture_rules
    assert asdict(rules.quality) == asdict(LIMITS)
    assert rules.reject_flags == ()


def test_limits_and_refused_flags_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENAGERIE_DARK_BELOW_LEVEL", "80")
    monkeypatch.setenv("MENAGERIE_REJECT_FLAGS", '["tiny", "near-uniform"]')
    rules = IngestSettings().picture_rules
    assert rules.quality.dark_below_level == 80
    assert rules.reject_flags == (QualityFlag.TINY, QualityFlag.NEAR_UNIFORM)
    photo = defects.shrunk(defects.samples()["china"], 60)
    refused = normalise(encoded(photo), rules)
    assert isinstance(refused, Rejection)
    assert refused.code == RejectCode.QUALITY


def test_a_flag_that_does_not_exist_cannot_be_refused() -> None:
    with pytest.raises(ValidationError, match="reject_flags"):
        IngestSettings(reject_flags=["ugly"])
