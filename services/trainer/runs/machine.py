"""How busy the machine is and what its time costs; GPUs are asked through NVML, where there is one."""

from __future__ import annotations

import os
import platform
import threading
import time
from dataclasses import dataclass
from typing import Any

import psutil

GPU_LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Use:
    """Since the last look; ``cpu`` is of one core, ``gpu`` None where no GPU is."""

    cpu: float
    gpu: float | None


class Meter:
    """Measures this process's use of the machine between two looks."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._gpus = _gpus()
        self._seen: list[float] = []
        self._marks = self._marked()
        if self._gpus:
            threading.Thread(target=self._watch, name="gpu-meter", daemon=True).start()

    def look(self) -> Use:
        """Use since the last look, or since the meter was made."""
        (cpu_before, before), (cpu, now) = self._marks, self._marked()
        self._marks = cpu, now
        seen, self._seen = self._seen, []
        gpu = sum(seen) / len(seen) if seen else None
        return Use(round((cpu - cpu_before) / max(now - before, 1e-6), 3), gpu)

    def _marked(self) -> tuple[float, float]:
        times = self._process.cpu_times()
        return times.user + times.system, time.monotonic()

    def _watch(self) -> None:
        while True:
            shares = [share for share in map(_utilisation, self._gpus) if share is not None]
            if shares:
                self._seen.append(sum(shares) / len(shares))
            time.sleep(GPU_LOOK_EVERY_S)


def describe() -> str:
    """This machine in one line."""
    memory = psutil.virtual_memory()
    gpus = ", ".join(_name(gpu) for gpu in _gpus()) or "no GPU"
    return (
        f"{platform.node()}, {os.cpu_count()} cores, {memory.total / 2**30:.0f} GiB memory "
        f"({memory.available / 2**30:.0f} GiB free), {gpus}, Python {platform.python_version()}"
    )


def cost_of(seconds: float, per_hour: float | None) -> float | None:
    """In the currency of ``per_hour``; None where no price is set."""
    return None if per_hour is None else round(seconds / 3600 * per_hour, 4)


def _gpus() -> list[Any]:
    """NVML handles of the GPUs that this process may see."""
    import pynvml  # noqa: PLC0415

    try:
        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:  # no driver, no GPU, or none that we may ask
        return []


def _utilisation(gpu: Any) -> float | None:
    import pynvml  # noqa: PLC0415

    try:
        return float(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu) / 100
    except pynvml.NVMLError:  # a part of a GPU (MIG) does not say
        return None


def _name(gpu: Any) -> str:
    import pynvml  # noqa: PLC0415

    try:
        name = pynvml.nvmlDeviceGetName(gpu)
    except pynvml.NVMLError:
        return "a GPU"
    return name.decode() if isinstance(name, bytes) else str(name)
