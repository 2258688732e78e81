"""Random secrets of a stack, made at the first start and kept with owner-only rights."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from contracts.subjects import SERVICES
from services.ops.stack.layout import Layout, read_json, write_private

NATS_USERS = ("admin", "ops", *SERVICES, "upstream", "bucket-notifier")
SECRET_BYTES = 24
"""192 random bits: beyond guessing, and short enough for every server's limits."""
SIGNING_KEY_BYTES = 32
"""Of Ed25519 (services/runtime/signing.py)."""


@dataclass(frozen=True)
class Credentials:
    """What the clients of one stack authenticate with."""

    nats: dict[str, str]
    """Password by NATS user: ``admin``, ``ops``, each service, and two for systems outside."""
    s3_access_key: str
    s3_secret_key: str
    api_token: str
    export_signing_key: str
    """Signs what the trainer exports; hexadecimal."""

    def __repr__(self) -> str:
        """Without the secrets: it may reach a log."""
        return "Credentials(...)"


def ensure_credentials(layout: Layout) -> Credentials:
    """The stack's secrets; what is missing (a new service's user) is made and stored."""
    stored = read_json(layout.credentials_file)
    s3 = stored.get("s3", {})
    content: dict[str, Any] = {
        "nats": {user: stored.get("nats", {}).get(user) or _secret() for user in NATS_USERS},
        "s3": {
            "access_key": s3.get("access_key") or secrets.token_hex(8),
            "secret_key": s3.get("secret_key") or _secret(),
        },
        "api_token": stored.get("api_token") or _secret(),
        "export_signing_key": stored.get("export_signing_key") or secrets.token_hex(SIGNING_KEY_BYTES),
    }
    if content != stored:
        write_private(layout.credentials_file, json.dumps(content, indent=2) + "\n")
    return _from(content)


def load_credentials(layout: Layout) -> Credentials | None:
    """The stored secrets, None before the first start."""
    stored = read_json(layout.credentials_file)
    return _from(stored) if stored else None


def _from(content: dict[str, Any]) -> Credentials:
    return Credentials(
        nats=dict(content["nats"]),
        s3_access_key=content["s3"]["access_key"],
        s3_secret_key=content["s3"]["secret_key"],
        api_token=str(content["api_token"]),
        # A stack of the release before gets one at its next start.
        export_signing_key=str(content.get("export_signing_key") or ""),
    )


def _secret() -> str:
    return secrets.token_hex(SECRET_BYTES)
