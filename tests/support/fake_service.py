"""Stands in for a service under the supervisor: serves ``/health/ready``, leaves its environment behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Ready(BaseHTTPRequestHandler):
    """Always ready."""

    def do_GET(self) -> None:
        """Answer 200."""
        self.send_response(200)
        self.end_headers()


def main() -> None:
    """``lives`` serves for ever, ``dies`` fails at once, ``parent`` also has a child that would stay."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("MENAGERIE_")}
    Path("environment.json").write_text(json.dumps(settings))
    if sys.argv[1] == "dies":
        sys.exit("a setting is wrong")
    if sys.argv[1] == "parent":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        Path("child.pid").write_text(str(child.pid))
    ThreadingHTTPServer(("127.0.0.1", int(settings["MENAGERIE_HTTP_PORT"])), Ready).serve_forever()


if __name__ == "__main__":
    main()
