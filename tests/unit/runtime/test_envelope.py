from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from contracts.commands import RequestSnapshot
from services.runtime.envelope import MalformedMessage, decode, encode

SAID = RequestSnapshot(request_id="r-0001", by="ann", requested_at=datetime(2026, 11, 21, tzinfo=UTC))


def test_what_is_encoded_is_decoded_again() -> None:
    body, headers = encode(SAID, "ops")
    assert decode(headers["ce-type"], body) == SAID


def test_the_same_request_has_the_same_id_whenever_it_is_sent() -> None:
    later = SAID.model_copy(update={"requested_at": datetime(2027, 1, 1, tzinfo=UTC)})
    assert encode(SAID, "ops")[1]["Nats-Msg-Id"] == encode(later, "ops")[1]["Nats-Msg-Id"]


def test_headers_carry_the_cloudevents_attributes() -> None:
    _, headers = encode(SAID, "ops")
    assert headers["ce-id"] == headers["Nats-Msg-Id"]
    assert headers["ce-source"] == "/menagerie/ops"
    assert datetime.fromisoformat(headers["ce-time"]).tzinfo is not None


@pytest.mark.parametrize("body", [b"", b"{broken", b"[]", b'{"request_id": "r-0001"}', b"\xff\xfe"])
def test_a_malformed_body_says_which_message_it_should_have_been(body: bytes) -> None:
    with pytest.raises(MalformedMessage, match=r"library\.snapshot-requested"):
        decode(RequestSnapshot.subject(), body)


def test_an_unknown_subject_is_malformed() -> None:
    with pytest.raises(MalformedMessage, match="no message type"):
        decode("menagerie.v1.library.no-such-thing", b"{}")


def test_fields_of_a_newer_sender_are_ignored() -> None:
    body = json.loads(encode(SAID, "ops")[0]) | {"colour": "green"}
    assert decode(RequestSnapshot.subject(), json.dumps(body).encode()) == SAID
