"""Whether a message type changed in a way that stored messages or running readers would feel.

Allowed is what both directions survive: a new optional field, a further value of an enumeration
(readers are deployed first), a wider limit. Everything else is a new type, ``v2`` beside ``v1``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

NOTES = {"title", "description", "default", "examples", "$defs"}
WIDENS_UP = {"maximum", "maxLength", "maxItems", "exclusiveMaximum"}
WIDENS_DOWN = {"minimum", "minLength", "minItems", "exclusiveMinimum"}


def breaks(old: Schema, new: Schema) -> list[str]:
    """Sentences that say where ``new`` breaks with ``old``; empty when it does not."""
    return list(_differences(old, new, old, new, "message"))


def _differences(old: Schema, new: Schema, old_root: Schema, new_root: Schema, place: str) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    yield from _fields(old, new, place)
    for name, schema in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from _differences(schema, new["properties"][name], old_root, new_root, f"{place}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
            yield from _differences(old[key], new[key], old_root, new_root, f"{place}[]")
    for key in ("anyOf", "prefixItems"):
        if len(old.get(key, [])) != len(new.get(key, [])):
            yield f"{place}: {key} has another number of alternatives"
            continue
        for before, after in zip(old.get(key, []), new.get(key, []), strict=True):
            yield from _differences(before, after, old_root, new_root, place)
    yield from _limits(old, new, place)


def _fields(old: Schema, new: Schema, place: str) -> Iterator[str]:
    for name in old.get("properties", {}).keys() - new.get("properties", {}).keys():
        yield f"{place}.{name}: removed"
    for name in set(new.get("required", [])) - set(old.get("required", [])):
        yield f"{place}.{name}: required now; only optional fields may be added"
    for name in set(old.get("required", [])) - set(new.get("required", [])):
        if name in new.get("properties", {}):
            yield f"{place}.{name}: optional now; readers of today rely on it"


def _limits(old: Schema, new: Schema, place: str) -> Iterator[str]:
    nested = {"properties", "required", "items", "additionalProperties", "anyOf", "prefixItems"}
    for key in sorted((old.keys() | new.keys()) - NOTES - nested):
        before, after = old.get(key), new.get(key)
        if before == after or (key == "enum" and set(before or ()) <= set(after or ())):
            continue
        if before is not None and key in WIDENS_UP and (after is None or after > before):
            continue
        if before is not None and key in WIDENS_DOWN and (after is None or after < before):
            continue
        yield f"{place}: {key} was {before!r} and is {after!r}"


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        schema = root["$defs"][name] | {key: value for key, value in schema.items() if key != "$ref"}
    return schema
