"""A child process with every way to end, for the tests of ``services.runtime.child``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from services.runtime.child import ChildFailed, child_main


def work(spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Do what ``spec["do"]`` names."""
    match spec["do"]:
        case "count":
            for number in range(1, spec["to"] + 1):
                report({"at": number})
            return {"counted": spec["to"]}
        case "chatter":
            print("a library prints {this}")
            os.write(1, b'{"result": "not an answer"}\n')
            return {"ok": True}
        case "refuse":
            raise ChildFailed("too few images", "label more images")
        case "die":
            print("last words", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        case "divide":
            return {"never": 1 // 0}
        case "environment":
            return {"x": os.environ["MENAGERIE_X"]}
        case "wait":
            report({"pid": os.getpid()})
            signal.pause()
    raise AssertionError(spec)


if __name__ == "__main__":
    child_main(work)
