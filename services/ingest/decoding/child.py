"""What runs in a decoder process: hostile bytes, few modules, hard limits."""

from __future__ import annotations

import math
import resource
import warnings
from collections.abc import Sequence

from PIL import Image

from contracts.values import RejectCode
from services.ingest.domain.normalise import normalise
from services.ingest.domain.picture import Normalised, PictureRules, Rejection
from services.pictures.reading import load_readers


def limit(memory_bytes: int, max_pixels: int) -> None:
    """Bound this process before it sees any upload."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not write a picture to disk
    load_readers(max_pixels)
    warnings.simplefilter("ignore")  # of damaged metadata; thousands of lines for one hostile file
    warnings.simplefilter("error", Image.DecompressionBombWarning)


def decode(files: Sequence[bytes], rules: PictureRules, cpu_s: int) -> list[Normalised | Rejection]:
    """Normalise each file; ``cpu_s`` seconds of processor time for all of them, then SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    # The limit counts from the start of the process, which serves many calls: move it ahead.
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + cpu_s, hard))
    return [_decode_one(data, rules) for data in files]


def _decode_one(data: bytes, rules: PictureRules) -> Normalised | Rejection:
    try:
        return normalise(data, rules)
    except MemoryError:
        allowed = resource.getrlimit(resource.RLIMIT_AS)[0] // 2**20
        return Rejection(RejectCode.DECODER_CRASHED, f"decoding needs more than {allowed} MiB of memory")
