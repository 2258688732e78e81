"""What each process of the stack is started with."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import services
from contracts.subjects import SERVICES
from services.ops.stack import weed
from services.ops.stack.credentials import Credentials
from services.ops.stack.layout import Layout, write_private
from services.ops.stack.ports import HOST, Ports
from services.ops.stack.probes import http_ok, s3_writable
from services.ops.stack.process import ProcessSpec
from services.ops.stack.spawn import program

CODE_ROOT = Path(services.__path__[0]).parent
GRACEFUL_STOP_S = 6.0
"""What a service gets to finish its messages; with its margin and both servers below 15 s."""
GRACE_MARGIN_S = 2.0
S3_GRACE_S = 4.0
"""It stops in 1 to 3 s; killed, it loses nothing that it had acknowledged."""
NATS_GRACE_S = 3.0


@dataclass(frozen=True)
class Plan:
    """All that the processes of one stack are derived from."""

    layout: Layout
    ports: Ports
    credentials: Credentials
    chosen: Mapping[str, str]
    """Settings of the services, name -> value."""

    def nats(self) -> ProcessSpec:
        """The broker; writes its configuration."""
        from deploy.provision.server_config import BrokerServer, render

        server = BrokerServer(
            self.ports.nats, self.ports.nats_monitor, self.layout.nats_dir, self.credentials.nats
        )
        write_private(self.layout.nats_config, render(server))
        return ProcessSpec(
            name="nats",
            command=[program("nats-server"), "-c", str(self.layout.nats_config)],
            env=_outer_environment(),
            folder=self.layout.root,
            log=self.layout.log("nats"),
            probe=http_ok(self.ports.nats_monitor, "/healthz?js-enabled-only=true"),
            grace_s=NATS_GRACE_S,
        )

    def s3(self) -> ProcessSpec:
        """The S3 server; writes its identities."""
        from deploy.provision.settings import ProvisionSettings

        write_private(
            self.layout.s3_config,
            weed.identities(self.credentials.s3_access_key, self.credentials.s3_secret_key),
        )
        ports = self.ports.weed()
        return ProcessSpec(
            name="s3",
            command=weed.command(program("weed"), self.layout.s3_dir, self.layout.s3_config, ports),
            env={**_outer_environment(), **weed.environment()},
            folder=self.layout.root,
            log=self.layout.log("s3"),
            probe=s3_writable(ProvisionSettings.model_validate(self.connection("admin"))),
            grace_s=S3_GRACE_S,
            sweep=lambda: weed.sweep_sockets(ports),
        )

    def service(self, name: str, command: Sequence[str] | None = None) -> ProcessSpec:
        """A service, as its module or as ``command``."""
        folder = self.layout.work(name)
        folder.mkdir(parents=True, exist_ok=True)
        env = self.service_environment(name)
        return ProcessSpec(
            name=name,
            command=command or [sys.executable, "-m", f"services.{name}"],
            env=env,
            folder=folder,
            log=self.layout.log(name),
            probe=http_ok(self.ports.service(name), "/health/ready"),
            grace_s=float(env["MENAGERIE_GRACEFUL_STOP_S"]) + GRACE_MARGIN_S,
        )

    def connection(self, user: str) -> dict[str, str]:
        """Settings by which ``user`` reaches both servers."""
        return {
            "nats_url": f"nats://{HOST}:{self.ports.nats}",
            "nats_user": user,
            "nats_password": self.credentials.nats[user],
            "s3_endpoint": f"{HOST}:{self.ports.s3}",
            "s3_access_key": self.credentials.s3_access_key,
            "s3_secret_key": self.credentials.s3_secret_key,
        }

    def database_url(self, service: str) -> str:
        """One SQLite file per service."""
        return f"sqlite:///{self.layout.database(service)}"

    def service_environment(self, name: str) -> dict[str, str]:
        """``MENAGERIE_*`` of one service: what the stack decides over what a person chose."""
        decided = {
            **self.connection(name),
            "s3_sync_dir": str(self.layout.s3_dir),
            "database_url": self.database_url(name),
            "http_host": HOST,
            "http_port": str(self.ports.service(name)),
            "api_token": self.credentials.api_token,
            "work_dir": str(self.layout.work(name)),
            # The page shows how every service is.
            "service_urls": json.dumps(
                {service: f"http://{HOST}:{self.ports.service(service)}" for service in SERVICES}
            ),
        }
        if name == "trainer":
            decided["export_signing_key"] = self.credentials.export_signing_key
        settings = {"graceful_stop_s": str(GRACEFUL_STOP_S), **self.chosen, **decided}
        return {
            **python_environment(),
            **{f"MENAGERIE_{setting.upper()}": value for setting, value in settings.items()},
        }


def python_environment() -> dict[str, str]:
    """For a Python process of ours: our code and no other (not even from its own folder)."""
    outer = _outer_environment()
    path = [str(CODE_ROOT), *filter(None, outer.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **outer,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",  # else the last words of a killed process are lost
    }


def _outer_environment() -> dict[str, str]:
    return dict(os.environ)
