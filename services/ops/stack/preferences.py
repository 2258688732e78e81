"""What ``menagerie up --set NAME=VALUE`` chose: settings of the services, kept for the next start."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping, Sequence

from contracts.subjects import SERVICES
from services.ops.clients.errors import OpsError
from services.ops.stack.layout import Layout, read_json, write_private

NAME = re.compile(r"^[a-z][a-z0-9_]{1,60}$")
SUPERVISED = frozenset(
    {
        "nats_url",
        "nats_user",
        "nats_password",
        "s3_endpoint",
        "s3_access_key",
        "s3_secret_key",
        "s3_secure",
        "s3_sync_dir",
        "database_url",
        "http_host",
        "http_port",
        "api_token",
        "work_dir",
        "migrate_urls",
    }
)
"""Settings that the stack itself decides."""


def parse(pairs: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` texts as a dictionary; an empty value takes the setting back.

    Raises:
        OpsError: a pair is malformed or names a setting that no service has.
    """
    chosen: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        name = name.strip().lower().removeprefix("menagerie_")
        if not separator or not NAME.match(name):
            raise OpsError(f"--set {pair!r} is not NAME=VALUE: write for example --set image_size_px=64")
        if name in SUPERVISED:
            raise OpsError(f"--set {name} is decided by `menagerie up` itself: leave it out")
        chosen[name] = value.strip()
    known = known_settings() if chosen else set()
    for name in chosen:
        if name not in known:
            raise OpsError(f"--set {name}: no service has that setting; there are {', '.join(sorted(known))}")
    return chosen


def remember(layout: Layout, chosen: Mapping[str, str]) -> dict[str, str]:
    """Add ``chosen`` to the stored settings and return them all."""
    stored = {str(name): str(value) for name, value in read_json(layout.settings_file).items()}
    merged = {name: value for name, value in {**stored, **chosen}.items() if value != ""}
    if merged != stored:
        write_private(layout.settings_file, json.dumps(merged, indent=2, sort_keys=True) + "\n")
    return merged


def known_settings() -> set[str]:
    """Names of all settings of all services that a person may choose."""
    from pydantic_settings import BaseSettings

    found: set[str] = set()
    for service in SERVICES:
        module = importlib.import_module(f"services.{service}.settings")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, BaseSettings):
                found |= set(value.model_fields)
    return found - SUPERVISED
