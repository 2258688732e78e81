"""Settings of the deployment job, by environment with the services' prefix."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.runtime.settings import RuntimeSettings


class ProvisionSettings(RuntimeSettings):
    """Connections as the services have them, with the NATS user ``admin``."""

    nats_user: str = "admin"
    stream_replicas: Annotated[int, Field(ge=1, le=5)] = 1
    """Copies of each stream; 3 on a NATS cluster."""
    connect_timeout_s: float = 30.0
    """How long the servers may take to answer at first: they may be starting too."""
