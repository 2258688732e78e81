"""What runs in a process that decodes hostile files: few rights, hard limits."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from services.dedup.scan.decoding import MAX_PIXELS
from services.pictures.reading import load_readers
from services.runtime.child import die_with

NUMBER = struct.Struct("<I")
READ_BYTES = 4096


class Bounds(NamedTuple):
    """What one process may use."""

    memory_bytes: int = 1536 * 2**20
    """On top of what it starts with."""
    seconds: float = 60.0
    """On one file."""
    attempts: int = 2
    """How often a file is tried that ends its process; one that hangs is not tried again."""


def prepare() -> None:
    """Load what decoding needs, once, before processes are forked."""
    load_readers(MAX_PIXELS)


def serve(work: Callable[[int], bytes], numbers: int, answers: int, parent: int, bounds: Bounds) -> None:
    """Answer numbers read from one pipe with records written to the other, until it ends."""
    _limit(parent, bounds)
    rest = b""
    while chunk := os.read(numbers, READ_BYTES):
        chunk = rest + chunk
        whole = len(chunk) - len(chunk) % NUMBER.size
        rest = chunk[whole:]
        for (number,) in NUMBER.iter_unpack(chunk[:whole]):
            record = work(number)
            while record:
                record = record[os.write(answers, record) :]


def _limit(parent: int, bounds: Bounds) -> None:
    die_with(parent)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        allowed = pages * resource.getpagesize() + bounds.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    faulthandler.disable()  # its report would be written to a parent's file
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not write a picture to disk
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # decoders print what they think of a file
        os.dup2(nowhere, stream)
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
