"""A process that dies or hangs costs the file it was at, and nothing else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from services.dedup.scan.bounded import Bounds
from services.dedup.scan.pool import BROKEN_AFTER, Pool, PoolBroken, Task

RECORD = 12
BOUNDS = Bounds(memory_bytes=512 * 2**20, seconds=30.0)


def record(number: int, state: bytes = b"good") -> bytes:
    return number.to_bytes(4, "little") + state.ljust(8)


def outcomes(
    work: Callable[[int], bytes], count: int, processes: int = 2, bounds: Bounds = BOUNDS
) -> dict[int, bytes]:
    reasons: dict[int, str] = {}

    def lost(number: int, reason: str) -> bytes:
        reasons[number] = reason
        return record(number, b"lost")

    data = b"".join(Pool(Task(work, RECORD, lost), processes, bounds).run(range(count)))
    records = [data[at : at + RECORD] for at in range(0, len(data), RECORD)]
    assert len(records) == count, "one record for each number"
    found = {int.from_bytes(one[:4], "little"): one[4:].strip() for one in records}
    return found | {number: reason.encode() for number, reason in reasons.items()}


def test_every_number_is_answered_once_whatever_the_number_of_processes() -> None:
    for processes in (1, 2, 5):
        assert outcomes(record, 1000, processes) == dict.fromkeys(range(1000), b"good")


def test_nothing_to_do_starts_nothing() -> None:
    assert outcomes(record, 0) == {}


def test_a_process_that_crashes_costs_its_file_alone() -> None:
    def work(number: int) -> bytes:
        if number in {7, 8, 300}:
            os.kill(os.getpid(), signal.SIGSEGV)
        return record(number)

    found = outcomes(work, 400)
    assert {number for number, said in found.items() if said != b"good"} == {7, 8, 300}
    assert found[7] == b"the decoder died on it 2 times"


def test_a_file_that_a_process_died_of_by_chance_is_tried_again(tmp_path: object) -> None:
    read, write = os.pipe()
    os.write(write, b"x")
    os.set_blocking(read, False)

    def work(number: int) -> bytes:
        if number == 5:
            try:
                os.read(read, 1)
            except BlockingIOError:
                return record(number)
            os.kill(os.getpid(), signal.SIGKILL)
        return record(number)

    assert outcomes(work, 50) == dict.fromkeys(range(50), b"good")
    os.close(read)
    os.close(write)


def test_a_process_that_hangs_costs_its_file_alone() -> None:
    def work(number: int) -> bytes:
        if number == 3:
            signal.pause()
        return record(number)

    found = outcomes(work, 100, bounds=BOUNDS._replace(seconds=0.3))
    assert found[3] == b"decoding it takes more than 0.3 s"
    assert sum(said == b"good" for said in found.values()) == 99


def test_memory_beyond_the_bound_is_refused() -> None:
    def work(number: int) -> bytes:
        try:
            size = len(bytearray(2**30)) if number == 1 else 0
        except MemoryError:
            return record(number, b"refused")
        return record(number, str(size).encode())

    assert outcomes(work, 3) == {0: b"0", 1: b"refused", 2: b"0"}


def test_a_machine_on_which_every_process_dies_is_told_from_bad_files() -> None:
    def work(number: int) -> bytes:
        os._exit(3)

    with pytest.raises(PoolBroken, match="free memory"):
        outcomes(work, BROKEN_AFTER)


def test_an_error_in_the_work_itself_costs_its_file_alone() -> None:
    def work(number: int) -> bytes:
        return record(1 // (number - 1) + number if number < 3 else number)

    found = outcomes(work, 10, processes=1)
    assert found[1] == b"the decoder died on it 2 times"


def test_processes_end_when_the_answers_are_no_longer_wanted() -> None:
    def work(number: int) -> bytes:
        time.sleep(0.001)
        return record(number)

    pool = Pool(Task(work, RECORD, record_lost), 2, BOUNDS)
    answers = pool.run(range(10_000))
    next(answers)
    pids = [process.pid for process in pool._processes]
    answers.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def record_lost(number: int, reason: str) -> bytes:
    return record(number, b"lost")


def test_the_caller_may_work_while_the_processes_do() -> None:
    seen: list[int] = []
    pool = Pool(Task(record, RECORD, record_lost), 2, BOUNDS)

    def steps() -> Iterator[None]:
        for _ in range(50):
            seen.append(len(pool._processes))
            yield

    data = b"".join(pool.run(range(100), steps()))
    assert seen[0] == 2
    assert len(seen) == 50, "what the processes left no time for is done at the end"
    assert len(data) == 100 * RECORD
