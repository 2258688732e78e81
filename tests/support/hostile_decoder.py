"""Stands in for the decoder child's work: a file's text says how decoding it ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from services.ingest.decoding import child as decoder_child
from services.ingest.domain.picture import Normalised, PictureRules, Rejection

CRASH, HANG, SPIN, BUG = b"crash", b"hang", b"spin", b"bug"


def decode(files: Sequence[bytes], rules: PictureRules, cpu_s: int) -> list[Normalised | Rejection]:
    """As the real one, except for files that name an end."""
    for data in files:
        if data == CRASH:
            os.kill(os.getpid(), signal.SIGSEGV)
        if data == HANG:
            while True:
                time.sleep(60)
        if data == BUG:
            raise RuntimeError("a mistake in the decoder's own code")
    if SPIN in files:
        decoder_child.decode([], rules, cpu_s)  # sets the limit
        while True:
            pass
    return decoder_child.decode(files, rules, cpu_s)


def decode_nothing(files: Sequence[bytes], rules: PictureRules, cpu_s: int) -> list[Normalised | Rejection]:
    """A machine on which every process dies."""
    os._exit(3)
