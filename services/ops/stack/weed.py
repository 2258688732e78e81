"""The embedded S3 server: one process, loopback only, no telemetry, nothing open without a key."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from services.ops.stack.ports import HOST

MEMORY_LIMIT = "400MiB"
"""Without it the server grew to 650-1000 MB under load; with it to 400."""
SOCKETS = Path("/tmp")  # noqa: S108 - where the server puts them, whatever TMPDIR says


def command(executable: str, folder: Path, config: Path, ports: Mapping[str, int]) -> list[str]:
    """Command line; ``ports`` has ``s3``, ``filer``, ``master``, ``volume``, ``admin``, ``<part>.grpc``."""
    flags = {
        "dir": folder,
        "ip": HOST,
        "ip.bind": HOST,  # the default is every interface
        "s3.config": config,
        **{f"{part}.port": ports[part] for part in ports if "." not in part},
        **{f"{part.removesuffix('.grpc')}.port.grpc": ports[part] for part in ports if "." in part},
        "admin.ui": "false",
        "webdav": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.iam": "false",
        "master.telemetry": "false",  # the default reports home
        # A resumed raft log often answers the volume's first heartbeat before it leads again; the next is
        # 5 s later, and until then no object can be read. Volumes and file ids are told by heartbeats anyway.
        "master.resumeState": "false",
        "disableHttp": "true",  # else the filer reads, writes and deletes objects without a key
        "s3.autoCreateBucket": "false",
        "s3.allowDeleteBucketNotEmpty": "false",
        "volume.preStopSeconds": 0,  # nobody else routes to it: waiting only slows the stop
    }
    return [executable, "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in flags.items())]


def environment() -> dict[str, str]:
    """What the server reads from its environment.

    The JWT keys close the volume server's own HTTP port, which else takes writes from anybody on
    the machine; only the process itself needs to know them, so each start has new ones.
    """
    keys = ("SIGNING_KEY", "SIGNING_READ_KEY", "FILER_SIGNING_KEY", "FILER_SIGNING_READ_KEY")
    return {"GOMEMLIMIT": MEMORY_LIMIT, **{f"WEED_JWT_{key}": secrets.token_hex(16) for key in keys}}


def identities(access_key: str, secret_key: str) -> str:
    """The configuration file: one identity, no anonymous access."""
    identity = {
        "name": "menagerie",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    return json.dumps({"identities": [identity]}, indent=2) + "\n"


def sweep_sockets(ports: Mapping[str, int]) -> None:
    """Remove the unix sockets that a stopped or killed server leaves in the temporary folder."""
    numbers = set(ports.values())
    for path in SOCKETS.glob("seaweedfs-*.sock"):
        if path.stem.rsplit("-", 1)[-1] in {str(number) for number in numbers}:
            with contextlib.suppress(OSError):
                if path.lstat().st_uid == os.getuid():
                    path.unlink()
