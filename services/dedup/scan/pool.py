"""Work on hostile files in bounded processes: a crash or a hang costs one file, no neighbour.

The processes are forked, so that none has to import or compile anything: the caller must have no threads.
Each is given numbers and answers with one record of fixed size for each, in order; so the first number
without an answer is the one that a process died of or hangs on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from services.dedup.scan.bounded import NUMBER, Bounds, serve

GIVEN, GIVEN_FIRST = 32, 512
"""Numbers given at once; a process gets more when it has fewer than two lots, so it never waits. At first it
gets enough to be busy while the caller does something else."""
PIPE_BYTES = 2**20
NAP_S = 0.01
"""Answers are collected this often: waking for each would take a processor's time from the work."""
BROKEN_AFTER = 100
"""Deaths without an answer between them: it is the machine, not the files."""


NOTHING: Iterator[None] = iter(())


class PoolBroken(Exception):
    """Every process dies, whatever file it is given."""


class Task(NamedTuple):
    """What the processes do."""

    work: Callable[[int], bytes]
    """The record of a number; runs in a process."""
    record_bytes: int
    lost: Callable[[int, str], bytes]
    """The record of a number that processes died of, with the reason."""


@dataclass
class _Process:
    pid: int
    to: int
    answers: int
    pending: deque[int] = field(default_factory=deque)
    rest: bytes = b""
    since: float = 0.0
    """When its last answer was seen: it began with the first pending number before."""


class Pool:
    """Some processes for one task."""

    def __init__(self, task: Task, processes: int, bounds: Bounds) -> None:
        self._task = task
        self._most = processes
        self._bounds = bounds
        self._processes: list[_Process] = []
        self._waiting: deque[int] = deque()
        self._deaths: Counter[int] = Counter()
        self._in_a_row = 0

    def run(self, numbers: Iterable[int], meanwhile: Iterator[None] = NOTHING) -> Iterator[bytes]:
        """Whole records in no particular order, many at once; one for each number.

        ``meanwhile`` is work of the caller's, done step by step while the processes do theirs.

        Raises:
            PoolBroken: no file at all can be worked on.
        """
        self._waiting = deque(numbers)
        first = max(GIVEN, min(GIVEN_FIRST, len(self._waiting) // (4 * self._most)))
        try:
            self._staff(first)
            while self._processes:
                next(meanwhile, None)
                ready = select.select([process.answers for process in self._processes], (), (), 1.0)[0]
                time.sleep(NAP_S)
                for process in list(self._processes):
                    yield self._collect(process) if process.answers in ready else self._check(process)
                self._staff(GIVEN)
            deque(meanwhile, 0)
        finally:
            for process in self._processes:
                _end(process)
            self._processes.clear()

    def _staff(self, lot: int) -> None:
        """Start processes, give each its numbers, and end those that have none."""
        while self._waiting and len(self._processes) < self._most:
            self._start()
            self._give(self._processes[-1], lot)
        for process in list(self._processes):
            while self._waiting and len(process.pending) < 2 * GIVEN:
                self._give(process, lot)
            if not process.pending:
                self._processes.remove(process)
                _end(process)

    def _start(self) -> None:
        read, to = os.pipe()
        answers, write = os.pipe()
        with contextlib.suppress(OSError):  # beyond what this user may have
            fcntl.fcntl(answers, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                for other in (to, answers, *(fd for one in self._processes for fd in (one.to, one.answers))):
                    os.close(other)
                serve(self._task.work, read, write, parent, self._bounds)
            finally:
                os._exit(1)
        os.close(read)
        os.close(write)
        self._processes.append(_Process(pid, to, answers, since=time.monotonic()))

    def _give(self, process: _Process, lot: int) -> None:
        some = [self._waiting.popleft() for _ in range(min(lot, len(self._waiting)))]
        if not process.pending:
            process.since = time.monotonic()
        process.pending.extend(some)
        with contextlib.suppress(BrokenPipeError):  # it died; its answers end, too
            os.write(process.to, b"".join(map(NUMBER.pack, some)))  # fits into the pipe: all of it

    def _collect(self, process: _Process) -> bytes:
        data = os.read(process.answers, PIPE_BYTES)
        if not data:
            return self._died(process)
        data = process.rest + data
        count = len(data) // self._task.record_bytes
        whole, process.rest = data[: count * self._task.record_bytes], data[count * self._task.record_bytes :]
        for _ in range(count):
            process.pending.popleft()
        process.since = time.monotonic()
        self._in_a_row = 0
        return whole

    def _check(self, process: _Process) -> bytes:
        """Whether it hangs."""
        if time.monotonic() - process.since < self._bounds.seconds:
            return b""
        number = self._bury(process)
        return self._task.lost(number, f"decoding it takes more than {self._bounds.seconds:g} s")

    def _died(self, process: _Process) -> bytes:
        self._in_a_row += 1
        if self._in_a_row >= BROKEN_AFTER:
            raise PoolBroken(f"{BROKEN_AFTER} decoder processes died one after the other; free memory")
        number = self._bury(process)
        self._deaths[number] += 1
        if self._deaths[number] < self._bounds.attempts:
            self._waiting.appendleft(number)
            return b""
        return self._task.lost(number, f"the decoder died on it {self._deaths[number]} times")

    def _bury(self, process: _Process) -> int:
        """End a process; its other numbers wait for another one. The number that it was at."""
        self._processes.remove(process)
        number = process.pending.popleft()
        self._waiting.extendleft(reversed(process.pending))
        _end(process)
        return number


def _end(process: _Process) -> None:
    os.close(process.to)
    os.close(process.answers)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)  # it has nothing to put in order
    os.waitpid(process.pid, 0)
