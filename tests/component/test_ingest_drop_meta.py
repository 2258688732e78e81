"""What user metadata and object names say of a dropped picture."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.manifests import Buckets
from services.ingest.reception.drop_meta import said_of
from services.ingest.reception.drops import created_keys
from services.ingest.reception.naming import drop_upload_id
from services.runtime.objectstore import StoredObject
from tests.support.ingest_drops import DropHouse, heard
from tests.support.ingest_ways import notification, notified
from tests.support.pictures import encoded, noise


@pytest.fixture
def house(tmp_path: Path) -> Iterator[DropHouse]:
    made = DropHouse(tmp_path)
    yield made
    made.close()


@given(
    name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(
        lambda text: not text.endswith("/")
    )
)
def test_any_key_survives_its_encoding(name: str) -> None:
    assert created_keys([heard(notification(name))]) == [name]


BAD_VALUES: dict[str, tuple[dict[str, str], str]] = {
    "source": ({"source": "dream"}, "bad-metadata:source=dream"),
    "label kind": ({"label": "otter", "label-kind": "maybe"}, "bad-metadata:label-kind=maybe"),
    "time": ({"taken-at": "yesterday"}, "bad-metadata:taken-at=yesterday"),
    "time without zone": ({"taken-at": "2026-05-01T09:00:00"}, "bad-metadata:taken-at=2026-05-01T09:00:00"),
    "label": ({"label": "a" * 201}, ("bad-metadata:label=" + "a" * 201)[:100]),
    "tag": ({"tags": "a," + "b" * 101}, ("bad-metadata:tags=" + "b" * 101)[:100]),
    "many tags": ({"tags": ",".join(map(str, range(60)))}, "bad-metadata:tags=59"),
}


@pytest.mark.parametrize("case", BAD_VALUES)
async def test_a_picture_is_taken_without_a_bad_value_and_tagged_with_it(house: DropHouse, case: str) -> None:
    metadata, tag = BAD_VALUES[case]
    house.store.drop("a.png", encoded(noise(9, 9)), guest="g")
    house.store.metadata[Buckets.DROP, "a.png"].update(metadata)
    await house.hear(notified("a.png"))
    [message] = await house.announced()
    assert message.guest == "g"
    assert "bad-metadata" in message.tags
    assert tag in message.tags or case == "many tags"
    assert len(message.tags) <= 50


TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@given(
    values=st.dictionaries(
        st.sampled_from(["label", "source", "tags", "taken-at", "guest", "label-kind", "mtime"]), TEXT
    )
)
def test_no_metadata_whatever_keeps_a_picture_out(values: dict[str, str]) -> None:
    meta, problems = said_of("upload-0001", values)
    assert ("bad-metadata" in meta.tags) >= bool(problems)
    assert len(meta.tags) <= 50


@pytest.mark.parametrize(
    "spelt",
    ["L%C3%B6we", "Löwe", "=?UTF-8?B?TMO2d2U=?=", "=?utf-8?q?L=C3=B6we?=", "Löwe".encode().decode("latin-1")],
)
def test_text_beyond_ascii_is_read_in_every_spelling_that_arrives(spelt: str) -> None:
    assert said_of("upload-0001", {"label": spelt})[0].label == "Löwe"


@pytest.mark.parametrize("spelt", ["100%", "%zz", "%ff%fe", "=?nowhere?b?eA==?=", "=?utf-8?b?broken", "a+b"])
def test_text_that_only_looks_encoded_is_kept(spelt: str) -> None:
    assert said_of("upload-0001", {"label": spelt})[0].label == spelt


def test_the_upload_id_is_of_what_the_object_is() -> None:
    at = datetime(2026, 11, 21, 12, tzinfo=UTC)
    one = StoredObject("a.png", 1, "etag", at)
    ids = {
        drop_upload_id(bucket, found)
        for bucket, found in [
            ("drop", one),
            ("drop", StoredObject("a.png", 2, "etag", at + timedelta(microseconds=999_999))),
            ("other", one),
            ("drop", StoredObject("b.png", 1, "etag", at)),
            ("drop", StoredObject("a.png", 1, "gate", at)),
            ("drop", StoredObject("a.png", 1, "etag", at + timedelta(seconds=1))),
        ]
    }
    assert len(ids) == 5
    assert drop_upload_id("drop", one) == "01M7YZMHG08RTF5RH7ZE40CGGA"
