"""Named, timed steps that say what goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.ops.clients.output import Output


class Stages:
    """Seconds by stage, in the order they began."""

    def __init__(self, output: Output) -> None:
        self.seconds: dict[str, float] = {}
        self._output = output

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """Time the body; ``what`` is the sentence for a person."""
        self._output.say("")
        self._output.say(f"{what} ...")
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - began, 1)
            self._output.say(f"  {name}: {self.seconds[name]:.1f} s")
