"""Alembic's entry point, the same for every service; ``deploy/migrate.py`` configures it."""

from __future__ import annotations

from alembic import context

from services.runtime.database import make_engine

config = context.config
engine = make_engine(config.attributes["url"])
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=config.attributes.get("metadata"),
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite cannot alter most columns
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
