"""The nats-server configuration: loopback, every acknowledged message on disk, a user per service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.provision.permissions import Permissions, users


@dataclass(frozen=True)
class BrokerServer:
    """One nats-server."""

    port: int
    monitor_port: int
    store_dir: Path
    passwords: Mapping[str, str]
    """By user; a user without one is left out."""
    host: str = "127.0.0.1"
    max_payload: str = "1MB"
    """Messages are references of a few KB; a dead letter carries up to 512 KB of a body."""
    max_file_store: str = "10GB"
    """Some ten million messages. Full, the server refuses publishers: a full disk would stop it."""


def render(server: BrokerServer) -> str:
    """Configuration file text; holds passwords."""
    entries = "\n".join(
        _user(name, server.passwords[name], allowed)
        for name, allowed in users().items()
        if name in server.passwords
    )
    return f"""\
server_name: menagerie
listen: {_quoted(f"{server.host}:{server.port}")}
http: {_quoted(f"{server.host}:{server.monitor_port}")}
max_payload: {server.max_payload}
jetstream {{
  store_dir: {_quoted(str(server.store_dir))}
  max_file_store: {server.max_file_store}
  # The default syncs every two minutes: a power cut would take acknowledged messages with it.
  sync_interval: always
}}
authorization {{
  # Without it a user that has no permissions of its own may do everything.
  default_permissions: {{ publish: {{ deny: ">" }}, subscribe: {{ deny: ">" }} }}
  users: [
{entries}
  ]
}}
"""


def _user(name: str, password: str, allowed: Permissions) -> str:
    unheard = f", deny: {_list(allowed.unheard)}" if allowed.unheard else ""
    return f"""\
    {{ user: {_quoted(name)}, password: {_quoted(password)}, permissions: {{
      publish: {{ allow: {_list(allowed.publish)} }}
      subscribe: {{ allow: {_list(allowed.subscribe)}{unheard} }}
    }} }}"""


def _list(subjects: tuple[str, ...]) -> str:
    return "[" + ", ".join(_quoted(subject) for subject in subjects) + "]"


def _quoted(text: str) -> str:
    # Its strings know the escapes of JSON except \\u.
    return json.dumps(text, ensure_ascii=False)
