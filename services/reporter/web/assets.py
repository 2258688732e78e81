"""Static files in memory: our own, and htmx out of its installed package (never copied)."""

from __future__ import annotations

import hashlib
import importlib.resources
from dataclasses import dataclass
from importlib.resources.abc import Traversable

TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """One file; ``digest`` stands in its address, so that it may be cached for ever."""

    data: bytes
    media_type: str
    digest: str


class Assets:
    """Name -> file; a name that is not in the dictionary does not exist."""

    def __init__(self) -> None:
        own = importlib.resources.files("services.reporter.web") / "static"
        htmx = importlib.resources.files("js_lib_htmx") / "static" / "htmx" / "htmx.min.js"
        self._files = {file.name: _asset(file) for file in own.iterdir() if file.is_file()}
        self._files["htmx.js"] = _asset(htmx)

    def get(self, name: str) -> Asset | None:
        """The file of that name."""
        return self._files.get(name)

    def url(self, name: str) -> str:
        """Its address, which changes with its content."""
        return f"/static/{name}?v={self._files[name].digest}"


def _asset(file: Traversable) -> Asset:
    data = file.read_bytes()
    suffix = "." + file.name.rsplit(".", 1)[-1]
    return Asset(data, TYPES[suffix], hashlib.sha256(data).hexdigest()[:12])
