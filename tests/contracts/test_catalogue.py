"""The committed documents are those of the running code."""

from __future__ import annotations

import re

import pytest
import yaml

from contracts.message import message_types
from contracts.subjects import CONSUMERS, PUBLISHES, SERVICES
from deploy.catalogue.files import documents
from deploy.catalogue.wiring import Wiring, wirings
from tests.support.architecture import ROOT


@pytest.fixture(scope="module")
def services() -> dict[str, Wiring]:
    return wirings()


def test_the_documents_are_those_of_the_code(services: dict[str, Wiring]) -> None:
    stale = [str(path) for path, text in documents(services).items() if (ROOT / path).read_text() != text]
    assert stale == [], "run `make docs` and commit what it writes"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_wired_as_the_contracts_declare(services: dict[str, Wiring], name: str) -> None:
    declared = {consumer.durable for consumer in CONSUMERS if consumer.service == name}
    assert {consumer.durable for consumer in services[name].consumers} == declared
    assert {kind.name for kind in services[name].publishes} == set(PUBLISHES[name])


def test_every_reference_in_the_asyncapi_document_leads_somewhere(services: dict[str, Wiring]) -> None:
    [text] = [text for path, text in documents(services).items() if path.suffix == ".yaml"]
    document = yaml.safe_load(text)
    for reference in set(re.findall(r"#/[\w./-]+", text)):
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
    assert set(document["channels"]) == {kind.name for kind in message_types().values()}


def test_every_message_but_commands_is_said_by_a_service(services: dict[str, Wiring]) -> None:
    said = {kind for wiring in services.values() for kind in wiring.publishes}
    facts = {k for k in message_types().values() if k.__module__ == "contracts.events"}
    assert {kind.name for kind in facts - said} <= {"dead-letter.stored", "dead-letter.replayed"}
