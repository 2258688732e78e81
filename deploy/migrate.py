"""Database migrations of all services: ``python -m deploy.migrate upgrade|revision``.

``MENAGERIE_MIGRATE_URLS`` is a JSON object, service -> database URL. A service owns its tables;
its revisions stand in ``deploy/migrations/<service>/versions``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from contracts.subjects import SERVICES

MIGRATIONS = Path(__file__).parent / "migrations"
URLS_VARIABLE = "MENAGERIE_MIGRATE_URLS"


def config_for(service: str, url: str) -> Config:
    """Alembic configuration of one service's history."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(MIGRATIONS / service / "versions"))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    config.attributes["service"] = service
    return config


def metadata_of(service: str) -> sa.MetaData:
    """The tables the service's code expects (``services/<service>/store``)."""
    metadata = importlib.import_module(f"services.{service}.store").metadata
    assert isinstance(metadata, sa.MetaData)
    return metadata


def upgrade(service: str, url: str) -> None:
    """Bring one database to the newest revision; a second call changes nothing."""
    command.upgrade(config_for(service, url), "head")


def revision(service: str, text: str) -> None:
    """Write a revision from the difference between the tables in code and all revisions so far."""
    (MIGRATIONS / service / "versions").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/blank.sqlite"
        config = config_for(service, url)
        config.attributes["metadata"] = metadata_of(service)
        command.upgrade(config, "head")
        command.revision(config, text, autogenerate=True, rev_id=next_number(service))


def next_number(service: str) -> str:
    """Revisions count up: 0001, 0002 ..."""
    return f"{len(list((MIGRATIONS / service / 'versions').glob('*.py'))) + 1:04d}"


def main() -> None:
    """Command line."""
    match sys.argv[1:]:
        case ["upgrade"]:
            urls: dict[str, str] = json.loads(os.environ[URLS_VARIABLE])
            for service, url in urls.items():
                upgrade(service, url)
        case ["revision", service, text] if service in SERVICES:
            revision(service, text)
        case _:
            sys.exit(
                f"usage: python -m deploy.migrate upgrade (databases in {URLS_VARIABLE}) | "
                f"revision {{{','.join(SERVICES)}}} TEXT"
            )


if __name__ == "__main__":
    main()
