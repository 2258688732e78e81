"""A child that works until it is told to stop, for the tests of ``services.runtime.orders``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from services.runtime.child import child_main
from services.runtime.orders import Orders


def work(_spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Tell that it lives, then wait."""
    orders = Orders()
    report({"pid": os.getpid()})
    while not orders.stopped():
        time.sleep(0.01)
    return {"stopped": orders.stop}


if __name__ == "__main__":
    child_main(work)
