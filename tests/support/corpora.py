"""Collections of awkward picture files; too large for the repository, so they are fetched once and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import PIL
import pytest

FETCH_TIMEOUT_S = 600.0


def pillow_images() -> list[Path]:
    """Every file of Pillow's own test images, of the version that is installed."""
    return _files(f"pillow-{PIL.__version__}", _fetch_pillow)


def gdk_pixbuf_images() -> list[Path]:
    """Every file of Debian's gdk-pixbuf-tests: regressions, fuzzed files, format suites."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            pytest.skip(f"gdk-pixbuf-tests is a Debian package and this machine has no {tool}: NOT TESTED")
    return _files("gdk-pixbuf-tests", _fetch_gdk_pixbuf)


def _files(name: str, fetch: Callable[[Path], None]) -> list[Path]:
    """Files of a corpus, fetched when they are not there; complete or absent, whoever else fetches."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "menagerie-corpora"
    folder = cache / name
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            content = Path(scratch) / "content"
            content.mkdir()
            fetch(content)
            if not folder.exists():
                content.rename(folder)
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    assert found, f"{folder} is empty; remove it, and the next run fetches it again"
    return found


def _fetch_pillow(content: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        # pip looks at a source distribution's metadata before it keeps it, which takes a build
        # environment of a few seconds.
        _run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pillow",
             "--dest", scratch, f"pillow=={PIL.__version__}"],
            Path(scratch),
        )  # fmt: skip
        [archive] = Path(scratch).glob("pillow-*.tar.gz")
        with tarfile.open(archive) as tar:
            wanted = [
                member for member in tar.getmembers() if member.isfile() and "/Tests/images/" in member.name
            ]
            tar.extractall(content, wanted, filter="data")


def _fetch_gdk_pixbuf(content: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        _run(["apt-get", "download", "gdk-pixbuf-tests"], Path(scratch))
        [package] = Path(scratch).glob("gdk-pixbuf-tests_*.deb")
        _run(["dpkg-deb", "-x", str(package), str(content)], Path(scratch))


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
    )
    if done.returncode:
        reason = (done.stderr or done.stdout).strip()[-500:]
        pytest.skip(f"NOT TESTED, the corpus cannot be had: `{' '.join(command)}` failed: {reason}")
