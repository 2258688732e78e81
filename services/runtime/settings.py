"""Settings by environment, prefix ``MENAGERIE_``; read only in ``create_app``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "MENAGERIE_"


class RuntimeSettings(BaseSettings):
    """What the plumbing needs; a service subclasses it and adds its own fields."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore")

    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str = ""
    nats_password: SecretStr = SecretStr("")

    s3_endpoint: str = "127.0.0.1:9000"
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    s3_secure: bool = False
    s3_sync_dir: Path | None = None
    """Data directory of an embedded S3 server that does not sync by itself; None otherwise."""

    database_url: SecretStr = SecretStr("sqlite:///menagerie.sqlite")
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    api_token: SecretStr = SecretStr("")
    work_dir: Path = Path("work")
    log_level: str = "INFO"
    otlp_endpoint: str | None = None

    retry_delays_s: tuple[float, ...] = (1.0, 3.0, 9.0, 27.0, 60.0)
    """Pause before each further attempt: 100 s in all, longer than the slowest restart seen of
    the embedded S3 server (21 s, research on restarts) and short enough that a person still
    looks. A message has one attempt more than there are pauses."""
    graceful_stop_s: float = 10.0
    consumer_check_s: float = 15.0
    """How often a missing durable is looked for; FastStream would spin on it for ever."""

    def child_env(self) -> dict[str, str]:
        """These settings as environment variables, for a child process of the service."""
        env = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            elif isinstance(value, (tuple, list, dict)):
                value = json.dumps(value)
            env[f"{ENV_PREFIX}{name.upper()}"] = str(value)
        return env
