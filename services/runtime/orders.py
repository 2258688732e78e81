"""What a parent tells its child while it works: that it may go on, and that it shall stop.

An order is one line of JSON on the child's standard input: ``{"hold_s": 20}`` (go on for so long;
without a further one the child ends by itself) or ``{"stop": "why"}``. ``"at"`` beside ``hold_s`` is
when that time began, by the monotonic clock that the processes of a machine share: a child reads what
was said while it still imported its libraries late.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import TextIO

EXIT_LEFT_ALONE = 75
"""Exit code of a child that nobody told to go on in time."""
LOOK_EVERY_S = 0.5


class Orders:
    """Listens in a thread from its making on; ``stop`` is why the work shall end, or None."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stop: str | None = None
        self._until: float | None = None
        for work in (self._listen, self._watch):
            threading.Thread(target=work, args=(stream or sys.stdin,), daemon=True).start()

    def stopped(self) -> bool:
        """Whether the work shall end at the next good moment."""
        return self.stop is not None

    def _listen(self, stream: TextIO) -> None:
        for line in stream:
            order = json.loads(line)
            if "hold_s" in order:
                self._until = float(order.get("at", time.monotonic())) + float(order["hold_s"])
            if "stop" in order:
                self.stop = str(order["stop"])

    def _watch(self, _stream: TextIO) -> None:
        """A parent that hangs or is held (SIGSTOP) has lost its lease: another child may be at work."""
        while True:
            time.sleep(LOOK_EVERY_S)
            if self._until is not None and time.monotonic() > self._until:
                os._exit(EXIT_LEFT_ALONE)
