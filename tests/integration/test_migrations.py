"""The migrations of every service lead to the tables that its code works with."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from contracts.subjects import SERVICES
from deploy.migrate import metadata_of, upgrade


@pytest.mark.parametrize("service", SERVICES)
def test_a_database_at_the_newest_revision_is_what_the_code_expects(service: str, database_url: str) -> None:
    upgrade(service, database_url)
    engine = sa.create_engine(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata_of(service)) == []
    engine.dispose()
