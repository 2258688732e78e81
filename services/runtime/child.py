"""Long or TensorFlow work runs in a child process: the event loop never blocks.

The child gets its specification as one line of JSON on standard input, perhaps followed by orders
(a line each, services/runtime/orders.py), answers in JSON lines on standard output (``progress``,
then ``result`` or ``error``) and dies with its parent.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from services.runtime.logs import get_log

LINE_LIMIT_BYTES = 16 * 1024 * 1024
TAIL_LINES = 15
PR_SET_PDEATHSIG = 1
KILL_AFTER_S = 5.0


class ChildFailed(Exception):
    """The work cannot succeed as asked: ``message`` says why, ``remedy`` what to change."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class ChildDied(Exception):
    """The child ended without an answer (killed, out of memory, a crash in native code)."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


async def run_child(
    module: str,
    spec: Mapping[str, Any],
    on_progress: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    env: Mapping[str, str] | None = None,
    orders: asyncio.Queue[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Run ``python -m module`` on ``spec`` and return its result.

    Args:
        env: added to this process's environment (``settings.child_env()``).
        orders: what is put into it is told to the child while it works; see ``Orders``.

    Raises:
        ChildFailed: the child said so.
        ChildDied: it ended without an answer; the last lines it wrote are in the message.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
        limit=LINE_LIMIT_BYTES,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
    errors = asyncio.create_task(_forward(process.stderr, tail))
    speech = asyncio.create_task(_speak(process.stdin, spec, orders))
    try:
        answer = await _answers(process.stdout, on_progress)
        code = await process.wait()
        await errors
    finally:
        speech.cancel()
        await _stop(process)
        errors.cancel()
    if answer is None:
        told = f"{module} ended with code {code} and no answer; last lines: {' | '.join(tail)}"
        raise ChildDied(told, code)
    if "error" in answer:
        raise ChildFailed(str(answer["error"]), str(answer.get("remedy", "")))
    result: dict[str, Any] = answer["result"]
    return result


async def _speak(
    stream: asyncio.StreamWriter, spec: Mapping[str, Any], orders: asyncio.Queue[dict[str, Any]] | None
) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may die before it reads
        stream.write(json.dumps(spec).encode() + b"\n")
        await stream.drain()
        while orders is not None:
            stream.write(json.dumps(await orders.get()).encode() + b"\n")
            await stream.drain()
        stream.close()


async def _answers(
    stream: asyncio.StreamReader, on_progress: Callable[[dict[str, Any]], Awaitable[None]] | None
) -> dict[str, Any] | None:
    final = None
    async for line in stream:
        answer = json.loads(line)
        if "progress" not in answer:
            final = answer
        elif on_progress is not None:
            await on_progress(answer["progress"])
    return final


async def _forward(stream: asyncio.StreamReader, tail: collections.deque[str]) -> None:
    log = get_log("child")
    async for line in stream:
        text = line.decode(errors="replace").rstrip()
        tail.append(text)
        log.info("child.said", text=text)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(KILL_AFTER_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def child_main(work: Callable[[dict[str, Any], Callable[[dict[str, Any]], None]], dict[str, Any]]) -> None:
    """Body of a child's ``__main__``: ``work(spec, report_progress)`` returns the result."""
    die_with(os.getppid())
    # Libraries print to standard output; the answers get a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    spec = json.loads(sys.stdin.readline())
    try:
        result = work(spec, lambda progress: say({"progress": progress}))
    except ChildFailed as error:
        say({"error": error.message, "remedy": error.remedy})
        return
    say({"result": result})


def die_with(parent: int) -> None:
    """Linux: be killed when the process ``parent``, which started this one, is.

    Elsewhere the parent's stop ends this one.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)
