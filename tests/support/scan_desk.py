"""``menagerie dedup scan`` as a person runs it, and its work without the command around it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.dedup.scan.job import child_scan

OLD_NS = 1_700_000_000 * 10**9


@dataclass(frozen=True)
class ScanDesk:
    """A folder of pictures, and a place for caches and reports beside it."""

    folder: Path
    beside: Path

    def put(self, name: str | bytes, content: bytes) -> Path:
        """An old file in the folder: fresh ones are not remembered."""
        path = self.folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ns=(OLD_NS, OLD_NS))
        return path

    def report(self, **asked: Any) -> dict[str, Any]:
        """What a scan reports, with ``remembered``; made in this process."""
        file = self.beside / "report.json"
        usual = {
            "cache": None, "distance_bits": None, "turned": True, "processes": 2, "shown": None, "shown_pairs": 0,
        }  # fmt: skip
        said = child_scan(
            {"folder": str(self.folder), "report": str(file)} | usual | asked, lambda progress: None
        )
        made: dict[str, Any] = json.loads(file.read_bytes())
        return made | {"remembered": said["remembered"]}

    def run(self, *arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The command on the folder."""
        command = [sys.executable, "-m", "services.ops.cli", "dedup", "scan", str(folder or self.folder)]
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.beside / "user cache"), "COLUMNS": "200"}
        return subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, check=False, env=environment
        )

    def scan(self, *arguments: object) -> dict[str, Any]:
        """What the command says with ``--json``."""
        done = self.run("--json", *arguments)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def fails(self, *arguments: object, folder: Path | None = None) -> str:
        """The sentence that the command ends with."""
        done = self.run(*arguments, folder=folder)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr
        return " ".join(done.stderr.split())
