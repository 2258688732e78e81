"""Decoding of hostile bytes in bounded processes: a crash or a hang costs one picture, no neighbour."""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool
from PIL import Image

from contracts.values import RejectCode
from services.ingest.decoding.child import decode, limit
from services.ingest.domain.faults import DecoderBroken
from services.ingest.domain.picture import Normalised, PictureRules, Rejection

Decoded = Normalised | Rejection
T = TypeVar("T")

CHUNK_FILES = 16  # half a batch, so that two processes share it
CHUNK_BYTES = 512 * 1024  # past this the pipe and the process cost nothing beside the decoding
START_GRACE_S = 60.0  # a fresh process imports Pillow on a machine that may be busy training
WAITING_CALLS = 2  # per process: one at work and one in the pipe, so that none waits for its next
ALONE_ATTEMPTS = 2


class Decoder:
    """A pool of decoder processes; use it from one event loop."""

    def __init__(
        self, rules: PictureRules, *, processes: int, memory_bytes: int, cpu_s: int, timeout_s: float
    ) -> None:
        self.rules = rules
        self._processes = processes
        self._memory_bytes = memory_bytes
        self._cpu_s = cpu_s
        self._timeout_s = timeout_s
        self._pool: ProcessPool | None = None
        self._turns = asyncio.Semaphore(processes * WAITING_CALLS)

    async def decode(self, files: Sequence[bytes]) -> list[Decoded]:
        """One result per file, in order.

        Raises:
            DecoderBroken: the processes themselves fail; try again later.
        """
        decoded = await asyncio.gather(*(self._decode_chunk(chunk) for chunk in chunks(files, len)))
        return [result for chunk in decoded for result in chunk]

    async def close(self) -> None:
        """Stop the processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(_stop, pool)

    async def _decode_chunk(self, files: Sequence[bytes]) -> list[Decoded]:
        try:
            return await self._call(files)
        except (ProcessExpired, TimeoutError, BrokenProcessPool):
            return [await self._decode_alone(data) for data in files]

    async def _decode_alone(self, data: bytes) -> Decoded:
        verdict = Rejection(RejectCode.DECODER_CRASHED, "")
        for _ in range(ALONE_ATTEMPTS):
            try:
                return (await self._call([data]))[0]
            except TimeoutError:
                verdict = self._timed_out()
            except ProcessExpired as error:
                verdict = self._timed_out() if error.exitcode == -signal.SIGXCPU else _crashed(error.exitcode)
            except BrokenProcessPool:
                continue
        await self._prove_healthy()
        return verdict if verdict.detail else _crashed(None)

    async def _prove_healthy(self) -> None:
        """A machine without memory or disk must not turn good uploads into rejected ones."""
        try:
            result = (await self._call([_known_good()]))[0]
        except (ProcessExpired, TimeoutError, BrokenProcessPool) as error:
            raise DecoderBroken(
                f"decoder processes do not work: {error!r}; see the log, free memory"
            ) from error
        if isinstance(result, Rejection):
            raise DecoderBroken(f"the decoder refuses a known good picture: {result.detail}; free memory")

    async def _call(self, files: Sequence[bytes]) -> list[Decoded]:
        async with self._turns:
            pool = await self._running()
            future = pool.schedule(
                decode, args=(list(files), self.rules, self._cpu_s), timeout=self._timeout_s
            )
            # Pebble's clock starts with the task. Should it lose one (a process killed while it
            # held the pipe), this outer clock ends the wait.
            waiting_s = START_GRACE_S + self._timeout_s * WAITING_CALLS
            try:
                async with asyncio.timeout(waiting_s):
                    return await asyncio.wrap_future(future)
            except TimeoutError:
                if future.cancelled():
                    await self._discard(pool)
                raise

    async def _running(self) -> ProcessPool:
        if self._pool is not None and not self._pool.active:
            await self._discard(self._pool)
        if self._pool is None:
            # spawn: a fork would carry the service's threads, locks and connections along.
            self._pool = ProcessPool(
                max_workers=self._processes,
                initializer=limit,
                initargs=(self._memory_bytes, self.rules.max_pixels),
                context=multiprocessing.get_context("spawn"),
            )
        return self._pool

    async def _discard(self, pool: ProcessPool) -> None:
        if self._pool is pool:
            self._pool = None
            await asyncio.to_thread(_stop, pool)

    def _timed_out(self) -> Rejection:
        return Rejection(
            RejectCode.DECODER_TIMEOUT,
            f"decoding took more than {self._cpu_s} s of processor time or {self._timeout_s:g} s in all",
        )


def _crashed(exit_code: int | None) -> Rejection:
    return Rejection(
        RejectCode.DECODER_CRASHED, f"the decoder process died on it twice (exit code {exit_code})"
    )


def chunks(items: Sequence[T], size_bytes: Callable[[T], int]) -> Iterator[list[T]]:
    """The items in as many calls as decoding them takes."""
    chunk: list[T] = []
    size = 0
    for item in items:
        if chunk and (len(chunk) == CHUNK_FILES or size + size_bytes(item) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += size_bytes(item)
    if chunk:
        yield chunk


def _known_good() -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(sink, "PNG")
    return sink.getvalue()


def _stop(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()
