"""The services that run models, on real servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deploy.migrate import upgrade
from tests.support.servers import Broker, S3Server


def model_service_settings(
    name: str, s3: S3Server, database_url: str, work_dir: Path, broker: Broker | None = None
) -> dict[str, Any]:
    """Settings of one service on these servers, its database migrated; without a broker for handlers alone."""
    upgrade(name, database_url)
    reach = s3.settings
    values: dict[str, Any] = {
        "s3_endpoint": reach.s3_endpoint, "s3_access_key": reach.s3_access_key, "s3_secret_key": reach.s3_secret_key,
        "database_url": database_url, "work_dir": work_dir, "retry_delays_s": (0.2, 0.4, 0.8),
    }  # fmt: skip
    if broker is not None:
        mine = broker.settings(name)
        values |= {
            "nats_url": mine.nats_url,
            "nats_user": mine.nats_user,
            "nats_password": mine.nats_password,
        }
    return values
