"""Fixtures of real servers; a session has at most one of each kind per worker, started on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.runtime.objectstore import ObjectStore
from tests.support.servers import Broker, Postgres, S3Server, claim_ports, juicefs_server, weed_server

Temporary = pytest.TempPathFactory


@pytest.fixture
def nats_url(tmp_path_factory: Temporary) -> Iterator[str]:
    """An empty broker of the test's own, without users; it starts in 0.1 s."""
    ports, claimed = claim_ports()
    with claimed, Broker(tmp_path_factory.mktemp("nats"), ports, open_to_all=True) as broker:
        broker.start()
        yield broker.url


@pytest.fixture
def broker(tmp_path_factory: Temporary) -> Iterator[Broker]:
    """An empty broker of the test's own with every user, to be provisioned, killed, started again."""
    ports, claimed = claim_ports()
    with claimed, Broker(tmp_path_factory.mktemp("nats"), ports) as broker:
        broker.start()
        yield broker


@pytest.fixture(scope="session")
def provisioned_broker(tmp_path_factory: Temporary) -> Iterator[Broker]:
    """A broker with all streams, durables and users; shared, so do not kill it or count its messages."""
    ports, claimed = claim_ports()
    with claimed, Broker(tmp_path_factory.mktemp("nats"), ports) as broker:
        broker.start()
        broker.provision()
        yield broker


@pytest.fixture(scope="session")
def weed(tmp_path_factory: Temporary) -> Iterator[S3Server]:
    """The embedded default."""
    ports, claimed = claim_ports()
    with claimed, weed_server(tmp_path_factory.mktemp("weed"), ports) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def juicefs(tmp_path_factory: Temporary) -> Iterator[S3Server]:
    """Another S3 server."""
    ports, claimed = claim_ports()
    with claimed, juicefs_server(tmp_path_factory.mktemp("juicefs"), ports) as server:
        server.start()
        yield server


@pytest.fixture(params=["weed", "juicefs"])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Each server in turn."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, S3Server)
    return server


@pytest.fixture
def object_store(s3_server: S3Server) -> ObjectStore:
    """A client of each server in turn, with all buckets; keys must be the test's own."""
    return s3_server.store()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: Temporary) -> Iterator[Postgres]:
    """A PostgreSQL cluster."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.sqlite"
    postgres = request.getfixturevalue("postgres")
    assert isinstance(postgres, Postgres)
    return postgres.new_database()
