"""Where everything of one stack lies on disk; the data directory is its whole state."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.ops.clients.errors import OpsError

OWNER_ONLY_DIR = 0o700
OWNER_ONLY_FILE = 0o600
OURS = frozenset({"credentials.json", "stack.json", "stack.lock", "nats", "s3", "db", "logs", "work"})


def default_data_dir() -> Path:
    """The platform's place for a user's data."""
    import platformdirs

    return Path(platformdirs.user_data_dir("menagerie"))


@dataclass(frozen=True)
class Layout:
    """Paths below the data directory ``root`` (docs/architecture.md, One machine)."""

    root: Path

    @property
    def nats_dir(self) -> Path:
        """JetStream's files."""
        return self.root / "nats"

    @property
    def s3_dir(self) -> Path:
        """The embedded S3 server's files; synced before an event names an object."""
        return self.root / "s3"

    @property
    def nats_config(self) -> Path:
        """Server configuration with every user's password."""
        return self.root / "config" / "nats.conf"

    @property
    def s3_config(self) -> Path:
        """Identities of the S3 server."""
        return self.root / "config" / "s3.json"

    @property
    def credentials_file(self) -> Path:
        """Random secrets, made at the first start."""
        return self.root / "credentials.json"

    @property
    def settings_file(self) -> Path:
        """What ``--set`` chose."""
        return self.root / "settings.json"

    @property
    def record_file(self) -> Path:
        """Ports and process ids of the running (or last) stack."""
        return self.root / "stack.json"

    @property
    def lock_file(self) -> Path:
        """Held by the one supervisor of this directory."""
        return self.root / "stack.lock"

    def database(self, service: str) -> Path:
        """The service's SQLite file."""
        return self.root / "db" / f"{service}.sqlite"

    def work(self, service: str) -> Path:
        """Scratch of the service; may be emptied while it is stopped."""
        return self.root / "work" / service

    def log(self, process: str) -> Path:
        """Standard output and error of the process."""
        return self.root / "logs" / f"{process}.log"

    def create(self) -> None:
        """Make the directories, for the owner only.

        Raises:
            OpsError: the directory holds something else, or cannot be used.
        """
        if "?" in str(self.root):  # a database URL would end there
            raise OpsError(f"data directory {self.root} has a '?' in its name: choose another --data-dir")
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_DIR)
            held = {entry.name for entry in self.root.iterdir()}
            if held and not held & OURS:  # else `--data-dir ~` would close a home directory to others
                raise OpsError(
                    f"{self.root} is not empty and holds no Menagerie data: name a new or empty --data-dir"
                )
            self.root.chmod(OWNER_ONLY_DIR)
            for name in ("nats", "s3", "db", "logs", "work", "config"):
                (self.root / name).mkdir(exist_ok=True, mode=OWNER_ONLY_DIR)
        except OSError as error:
            raise OpsError(
                f"data directory {self.root} cannot be used ({error}): choose another --data-dir"
            ) from error


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` at once, readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY_FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``, empty when there is no file.

    Raises:
        OpsError: it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise OpsError(f"{path} cannot be read ({error}): repair it or move it away") from error
    if not isinstance(content, dict):
        raise OpsError(f"{path} holds no JSON object: repair it or move it away")
    return content
