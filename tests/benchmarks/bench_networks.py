"""Images a second of inference and of a training step, beside timm under PyTorch on the same cores.

The peers run from another interpreter, whose path is in BENCH_PEERS (it needs torch and timm): they are no
dependencies of this project. Both sides are processes that wait for their turn, so that a busy moment meets
both; CPU seconds are told beside those of the clock, for they say the same on a busy machine.

KERAS_BACKEND chooses ours (jax on a GPU, where it is installed). On a GPU timm runs channels_last, in
bfloat16 by autocast and compiled, ours in mixed_bfloat16; BENCH_COMPILE=1 compiles timm's on a CPU too,
BENCH_XLA=1 ours. BENCH_CASES chooses of CASES by name, BENCH_RUNS says how often each has its turn.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

RUNS = int(os.environ.get("BENCH_RUNS", "3"))
PEERS = os.environ.get("BENCH_PEERS")
CORES = len(os.sched_getaffinity(0))
ROOT = Path(__file__).resolve().parents[2]


class Case(NamedTuple):
    """One network of each side, and what it is given in a turn."""

    ours: str
    timm: str
    side: int
    inference: tuple[int, int]
    """Images a batch, batches a turn."""
    training: tuple[int, int]


CASES = {
    "inception_v4": Case("inception_v4", "inception_v4", 299, (8, 2), (4, 2)),
    "efficientnet_lite0": Case("efficientnet_lite0", "tf_efficientnet_lite0", 224, (16, 4), (16, 2)),
}
CHOSEN = os.environ.get("BENCH_CASES", ",".join(CASES)).split(",")

TURNS = """
import json, resource, sys, time
def turns(ways):
    for work in ways.values():
        work(1)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        name, batches = json.loads(line)
        used, clock = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        ways[name](batches)
        now = resource.getrusage(resource.RUSAGE_SELF)
        cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        print(json.dumps([cpu, time.perf_counter() - clock]), flush=True)
name, side, inference, training, cores = json.loads(sys.argv[1])
"""

OURS = (
    TURNS
    + """
import os
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_NUM_INTRAOP_THREADS": str(cores), "OMP_NUM_THREADS": str(cores)}
import keras
import numpy as np
from services.networks.build import build
gpu = keras.backend.backend() != "tensorflow" and keras.distribution.list_devices()[0].startswith(("gpu", "cuda"))
if gpu:
    keras.config.set_dtype_policy("mixed_bfloat16")
model = build(name, side, 1000)
xla = True if os.environ.get("BENCH_XLA") else "auto" if gpu else False
model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", jit_compile=xla)
random = np.random.default_rng(0)
pictures = {count: random.integers(0, 256, (count, side, side, 3), dtype=np.uint8) for count in (inference, training)}
classes = random.integers(0, 1000, training)
def infer(batches):
    for _ in range(batches):
        model.predict_on_batch(pictures[inference])
def train(batches):
    for _ in range(batches):
        loss = model.train_on_batch(pictures[training], classes)
turns({"inference": infer, "training": train})
"""
)

TIMM = (
    TURNS
    + """
import contextlib, os
import timm, torch
torch.set_num_threads(cores)
gpu = torch.cuda.is_available()
device = torch.device("cuda" if gpu else "cpu")
model = timm.create_model(name, num_classes=1000).to(device, memory_format=torch.channels_last)
run = torch.compile(model) if gpu or os.environ.get("BENCH_COMPILE") else model
adam = torch.optim.Adam(model.parameters(), 1e-4)
half = (lambda: torch.autocast("cuda", torch.bfloat16)) if gpu else contextlib.nullcontext
pictures = {
    count: torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    for count in (inference, training)
}
classes = torch.randint(0, 1000, (training,)).to(device)
def prepared(count):
    return pictures[count].to(device).float().sub_(127.5).div_(127.5)
def infer(batches):
    model.eval()
    for _ in range(batches):
        with torch.inference_mode(), half():
            run(prepared(inference)).float().softmax(1).cpu()
def train(batches):
    model.train()
    for _ in range(batches):
        with half():
            loss = torch.nn.functional.cross_entropy(run(prepared(training)), classes)
        adam.zero_grad(); loss.backward(); adam.step(); loss.item()
turns({"inference": infer, "training": train})
"""
)


class Side:
    """A process that works when it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read(self) -> Any:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith(("[", '"')):
                return json.loads(line)
        raise RuntimeError(f"the process ended with {self._process.wait()}")

    def turn(self, name: str, batches: int) -> tuple[float, float]:
        """CPU seconds and seconds of ``batches``."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, batches]) + "\n")
        self._process.stdin.flush()
        cpu, clock = self.read()
        return cpu, clock


@contextmanager
def started(python: str, program: str, network: str, case: Case) -> Iterator[Side]:
    asked = json.dumps([network, case.side, case.inference[0], case.training[0], CORES])
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen([python, "-c", program, asked], **pipes) as process:
        try:
            side = Side(process)
            assert side.read() == "ready"
            yield side
        finally:
            process.kill()


@pytest.mark.parametrize("name", CHOSEN)
def test_images_a_second(name: str) -> None:
    case = CASES[name]
    with ExitStack() as held:
        sides = {"ours": held.enter_context(started(sys.executable, OURS, case.ours, case))}
        if PEERS:
            sides["timm"] = held.enter_context(started(PEERS, TIMM, case.timm, case))
        for way, (batch, batches) in (("inference", case.inference), ("training", case.training)):
            rates: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
            for _ in range(RUNS):
                for side, process in sides.items():
                    cpu, clock = process.turn(way, batches)
                    rates[side].append((batch * batches / cpu, batch * batches / clock))
            _print(f"{name} {case.side} px, {way}, batch {batch}", rates)
    if not PEERS:
        print("NO PEERS MEASURED: set BENCH_PEERS to a Python that has torch and timm")


def _print(title: str, rates: dict[str, list[tuple[float, float]]]) -> None:
    print(f"\n{title}, {CORES} processors, {RUNS} turns each")
    for side, found in rates.items():
        cpu, clock = (statistics.median(values) for values in zip(*found, strict=True))
        best = max(value for value, _ in found)
        print(f"{side:6} {cpu:7.2f} images per CPU-s median {best:7.2f} best {clock:7.2f} images/s")
    if len(rates) > 1:
        pairs = [ours[0] / peer[0] for ours, peer in zip(rates["ours"], rates["timm"], strict=True)]
        print(f"ours / timm, turn by turn: {', '.join(f'{ratio:.2f}' for ratio in pairs)}")
