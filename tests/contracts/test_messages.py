"""Messages that were stored years ago still mean what they meant."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from contracts.message import Message, message_types
from deploy.catalogue.compatibility import breaks
from deploy.catalogue.files import SCHEMAS, broken_promises, golden_schemas
from tests.support.architecture import ROOT

SAMPLES = Path(__file__).parent / "samples"
KINDS = {kind.name: kind for kind in message_types().values()}
NEWER = "said_by_a_newer_sender"
MAPS = frozenset(("headers", "layers", "space"))
"""Fields whose keys are data: they keep every key they are given."""


def sample(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return loaded


def with_unknown_fields(value: Any) -> Any:
    """The same with a further field in every object that is no map."""
    if isinstance(value, dict):
        known = {key: inner if key in MAPS else with_unknown_fields(inner) for key, inner in value.items()}
        return known | {NEWER: "no field today"}
    return [with_unknown_fields(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> type[Message]:
    return KINDS[request.param]


def test_the_code_keeps_the_promises_of_the_golden_schemas() -> None:
    assert broken_promises(ROOT) == []


def test_the_golden_schemas_are_those_of_the_code() -> None:
    stale = [str(path) for path, text in golden_schemas().items() if (ROOT / path).read_text() != text]
    assert stale == [], "run `make docs` and commit what it writes"
    assert {path.name for path in (ROOT / SCHEMAS).iterdir()} == {path.name for path in golden_schemas()}


def test_every_message_has_a_stored_sample_and_no_sample_is_orphaned() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == set(KINDS)


def test_the_stored_sample_still_says_what_it_said(kind: type[Message]) -> None:
    stored = sample(kind.name)
    said = kind.model_validate_json(json.dumps(stored)).model_dump(mode="json")
    assert said == said | kind.model_validate(stored).model_dump(mode="json")
    assert covers(said, stored)


def covers(said: Any, stored: Any) -> bool:
    """Whether all that was stored is still there; times may be spelled in another way."""
    if isinstance(stored, dict):
        return all(key in said and covers(said[key], inner) for key, inner in stored.items())
    if isinstance(stored, list):
        return len(said) == len(stored) and all(map(covers, said, stored))
    return bool(said == stored) or (isinstance(stored, str) and stored[:2] == "20" and said[:2] == "20")


def test_a_sample_survives_its_own_encoding(kind: type[Message]) -> None:
    message = kind.model_validate(sample(kind.name))
    assert kind.model_validate_json(message.model_dump_json()) == message


def test_unknown_fields_are_ignored_at_every_depth(kind: type[Message]) -> None:
    newer = kind.model_validate(with_unknown_fields(sample(kind.name)))
    assert newer.model_dump().keys() == kind.model_validate(sample(kind.name)).model_dump().keys()
    assert NEWER not in newer.model_dump_json()


def test_equal_keys_give_equal_ids_whatever_else_is_said(kind: type[Message]) -> None:
    message = kind.model_validate(sample(kind.name))
    assert kind.key_fields
    only_keys = {field: getattr(message, field) for field in kind.key_fields}
    assert kind.model_construct(**only_keys).message_id() == message.message_id()


BEFORE: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 10},
        "kind": {"$ref": "#/$defs/Kind"},
        "inner": {"type": "array", "items": {"$ref": "#/$defs/Inner"}},
    },
    "$defs": {
        "Kind": {"type": "string", "enum": ["a", "b"]},
        "Inner": {"type": "object", "required": ["x"], "properties": {"x": {"type": "integer"}}},
    },
}


def changed(*path: str, to: Any) -> dict[str, Any]:
    schema = copy.deepcopy(BEFORE)
    node = schema
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = to
    return schema


@pytest.mark.parametrize(
    "after",
    [
        BEFORE,
        changed("properties", "extra", to={"type": "string", "default": ""}),
        changed("properties", "name", to={"type": "string", "maxLength": 20, "description": "longer"}),
        changed("$defs", "Kind", "enum", to=["a", "b", "c"]),
        changed("$defs", "Inner", "properties", to={"x": {"type": "integer"}, "y": {"type": "integer"}}),
    ],
    ids=["nothing", "optional-field", "wider-limit", "further-value", "optional-field-inside"],
)
def test_an_addition_is_no_break(after: dict[str, Any]) -> None:
    assert breaks(BEFORE, after) == []


@pytest.mark.parametrize(
    "after",
    [
        changed("properties", to={"name": {"type": "string", "maxLength": 10}}),
        changed("required", to=["name", "kind"]),
        changed("required", to=[]),
        changed("properties", "name", "type", to="integer"),
        changed("properties", "name", "maxLength", to=5),
        changed("properties", "name", to={"type": "string", "maxLength": 10, "pattern": "^a"}),
        changed("$defs", "Kind", "enum", to=["a"]),
        changed("$defs", "Inner", "required", to=["x", "y"]),
        changed("$defs", "Inner", "properties", to={}),
    ],
    ids=[
        "field-removed", "now-required", "now-optional", "other-type", "narrower-limit", "new-limit",
        "value-removed", "required-inside", "removed-inside",
    ],
)  # fmt: skip
def test_a_break_is_seen(after: dict[str, Any]) -> None:
    assert breaks(BEFORE, after) != []
