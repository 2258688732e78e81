"""Has a child explain what people ask: one question at a time, each once however many ask it.

The child stays for a while after an answer; it is ended when nobody asks, when it takes too long, and when
the service stops. What it found is in the store before it says so: after a crash it is asked anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.evaluator.explaining import kept
from services.evaluator.explaining.kept import Kept
from services.evaluator.explaining.questions import Refusal, Task
from services.evaluator.settings import EvaluatorSettings
from services.runtime.child import ChildDied, run_child
from services.runtime.objectstore import ObjectStore

JOB = "services.evaluator.explain_job"
WAITING_MOST = 16
REFUSALS_KEPT = 64
AGAIN = "ask again, and if it happens again report a bug with the evaluator's log"


@dataclass(frozen=True)
class Working:
    """It is not ready yet; so many questions come before it."""

    ahead: int


class Busy(Exception):
    """Too many questions wait."""


class Explainer:
    """Asked by the HTTP side; belongs to one event loop."""

    def __init__(self, store: ObjectStore, settings: EvaluatorSettings, log: Any) -> None:
        self._store, self._settings, self._log = store, settings, log
        self._asked: dict[str, tuple[Task, asyncio.Future[Refusal | None]]] = {}
        """By prefix, in the order of asking; the first is being worked on. None: it is in the store."""
        self._refused: OrderedDict[str, Refusal] = OrderedDict()
        self._worker: asyncio.Task[None] | None = None
        self._came = asyncio.Event()

    async def ask(self, task: Task, wait_s: float) -> Kept | Working | Refusal:
        """The explanation, begun if nobody asked for it before; waits for it at most ``wait_s``.

        A refusal is told to all who wait for it: whoever asks again has it tried again.

        Raises:
            Busy: WAITING_MOST questions wait already.
        """
        prefix = task.question.prefix(task.model)
        found = await self._settled(prefix)
        if found is not None:
            return found
        if prefix not in self._asked:  # also when another asked while the store was looked at
            if len(self._asked) >= WAITING_MOST:
                raise Busy(f"{WAITING_MOST} explanations wait already")
            self._asked[prefix] = task, asyncio.get_running_loop().create_future()
            self._came.set()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name="explaining")
        done = self._asked[prefix][1]
        await asyncio.wait({done}, timeout=wait_s)
        if not done.done():
            return Working(list(self._asked).index(prefix))
        refusal = done.result()
        if refusal is not None:
            self._refused.pop(prefix, None)
            return refusal
        return await self._settled(prefix) or Refusal(status=503, detail=f"it was lost: {AGAIN}")

    async def close(self) -> None:
        """End the child; what waits is asked anew of the next evaluator."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _settled(self, prefix: str) -> Kept | Refusal | None:
        refused = self._refused.pop(prefix, None)
        if refused is not None or prefix in self._asked:
            return refused
        return await asyncio.to_thread(kept.find, self._store, prefix)

    async def _work(self) -> None:
        """Answer until nobody asked for a while; a question that came while the child ended gets another."""
        while self._asked:
            child = _Child(self._settings.scoring_env())
            try:
                while child.is_alive and await self._another():
                    if child.is_alive:  # it may have been killed while nobody asked
                        await self._next(child)
            finally:
                await child.end()

    async def _next(self, child: _Child) -> None:
        prefix, (task, done) = next(iter(self._asked.items()))
        refusal = await self._answered(child, task)
        if refusal is not None:
            self._log.info("explaining.refused", prefix=prefix, detail=refusal.detail)
            self._refused[prefix] = refusal
            while len(self._refused) > REFUSALS_KEPT:
                self._refused.popitem(last=False)
        del self._asked[prefix]
        done.set_result(refusal)

    async def _another(self) -> bool:
        self._came.clear()
        if self._asked:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.explaining_idle_s):
                await self._came.wait()
        return bool(self._asked)

    async def _answered(self, child: _Child, task: Task) -> Refusal | None:
        limit_s = self._settings.explaining_limit_s
        try:
            async with asyncio.timeout(limit_s):
                return await child.ask(task)
        except TimeoutError:
            await child.end()
            detail = (
                f"it took longer than {limit_s:g} s: ask for grad-cam, or raise MENAGERIE_EXPLAINING_LIMIT_S"
            )
            return Refusal(status=503, detail=detail)
        except Exception as error:  # noqa: BLE001 - kept, the question would fail before all behind it for ever
            self._log.warning("explaining.died", error=f"{type(error).__name__}: {error}")
            await child.end()
            return Refusal(status=503, detail=f"the process that explains ended without an answer: {AGAIN}")


class _Child:
    """One process; answers in the order of its questions."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._life = asyncio.create_task(
            run_child(JOB, {}, self._answers.put, env=env, orders=self._orders), name="explaining child"
        )

    @property
    def is_alive(self) -> bool:
        return not self._life.done()

    async def ask(self, task: Task) -> Refusal | None:
        """None when the explanation is in the store.

        Raises:
            ChildDied, ChildFailed, OSError: the process is gone.
        """
        self._orders.put_nowait(task.model_dump(mode="json"))
        answer = asyncio.create_task(self._answers.get())
        try:
            await asyncio.wait({answer, self._life}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._life.result()
                raise ChildDied(f"{JOB} ended by itself")
            refused = answer.result().get("refused")
        finally:
            answer.cancel()
        return None if refused is None else Refusal.model_validate(refused)

    async def end(self) -> None:
        """Stop the process, if it still runs."""
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)
