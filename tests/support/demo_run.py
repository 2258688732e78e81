"""Running ``menagerie demo`` and ``menagerie up`` as a person does: as processes, by their output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEMO_TIMEOUT_S = 1800.0
"""Five times what a quiet machine needs."""
UP_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 90.0


@dataclass(frozen=True)
class DemoResult:
    """How a demo ended; ``report`` is its last line."""

    returncode: int
    report: dict[str, Any]
    progress: str
    data_dir: Path
    seconds: float

    @property
    def counts(self) -> dict[str, Any]:
        """What must not depend on when things happened."""
        report = self.report
        return {
            "images": report["images"],
            "snapshots": [
                {name: one[name] for name in ("images", "labelled", "unlabelled", "classes", "shards")}
                for one in report["snapshots"]
            ],
            "models": [(one["version"], one["class_count"], one["state"]) for one in report["models"]],
            "identified": report["bulk"]["identified"],
            "bulk_runs": sorted((one["model_version"], one["identified"]) for one in report["bulk"]["runs"]),
            "dead_letters": report["dead_letters"],
            "backlog": sum(report["backlog"].values()),
            "near": (report["demo"]["duplicates"]["found_near"], report["demo"]["duplicates"]["missed_near"]),
            "flagged": report["demo"]["duplicates"]["distinct_flagged"],
            "broken": report["demo"]["broken"],
        }


def menagerie(*arguments: str) -> list[str]:
    """The command line of the checkout."""
    return [sys.executable, "-m", "services.ops.cli", *arguments]


class Demo:
    """A demo under way."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.data_dir = data_dir
        self._began = time.monotonic()
        self._log = data_dir.with_suffix(".progress").open("w+b")
        self.process = subprocess.Popen(
            menagerie("demo", "--exit", "--json", "--data-dir", str(data_dir), *arguments),
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip

    def pid_of(self, process: str) -> int | None:
        """Process id of a server or service, None while it has none."""
        with suppress(OSError, ValueError, KeyError):
            record = json.loads((self.data_dir / "stack.json").read_text())
            return record["processes"][process]["pid"] if record["state"] == "ready" else None
        return None

    def finish(self) -> DemoResult:
        """Wait for the end."""
        try:
            out, _ = self.process.communicate(timeout=DEMO_TIMEOUT_S)
        finally:
            self.stop()
        self._log.seek(0)
        progress = self._log.read().decode("utf-8", "replace")
        self._log.close()
        lines = out.decode().splitlines()
        assert lines, f"the demo printed no report:\n{progress[-4000:]}"
        seconds = time.monotonic() - self._began
        return DemoResult(self.process.returncode, json.loads(lines[-1]), progress, self.data_dir, seconds)

    def stop(self) -> None:
        """End it and its stack, if they still run."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_TIMEOUT_S)
            self.process.kill()
            self.process.wait()


def run_demo(data_dir: Path, *arguments: str) -> DemoResult:
    """A whole demo."""
    return Demo(data_dir, *arguments).finish()


@contextmanager
def stack_up(data_dir: Path, *arguments: str) -> Iterator[None]:
    """``menagerie up`` on a new or an existing data directory."""
    log = data_dir.with_suffix(".up")
    with log.open("wb") as output:
        process = subprocess.Popen(
            menagerie("up", "--data-dir", str(data_dir), *arguments),
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + UP_TIMEOUT_S
        while not _ready(data_dir / "stack.json"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
        process.kill()
        process.wait()


def _ready(record: Path) -> bool:
    return record.is_file() and json.loads(record.read_text())["state"] == "ready"


def ask(data_dir: Path, *arguments: str) -> dict[str, Any]:
    """The JSON answer of a command on a running stack."""
    done = subprocess.run(
        menagerie(*arguments, "--json", "--data-dir", str(data_dir)),
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=DEMO_TIMEOUT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(answer, dict)
    return answer


def until(true: Callable[[], object], timeout_s: float = 120.0) -> None:
    """Wait until ``true()``; its last answer shows in the failure."""
    deadline = time.monotonic() + timeout_s
    while not (last := true()):
        assert time.monotonic() < deadline, f"still {last!r} after {timeout_s:.0f} s"
        time.sleep(0.2)
