"""Requests for searches, trials without a trainer, and a desk that plays the trainers of a search."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from contracts.commands import CancelTraining, RequestSearch, RequestTraining
from contracts.events import (
    SearchCompleted,
    TrainCancelled,
    TrainFailed,
    TrainProgressed,
    TrialCompleted,
)
from contracts.message import Message
from contracts.values import ObjectRef
from services.runtime.database import Unit, make_engine
from services.trainer.domain.errors import TrainingError
from services.trainer.search.report import ReportSpec
from services.trainer.search.trials import Scalar, Trial, TrialState, run_of
from services.trainer.store import cancel_run, metadata, searches

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
HELD = ObjectRef(bucket="reports", key="any", size=2, sha256="0" * 64)
HOSTILE = "<script>alert(1)</script> $x^$ \N{RIGHT-TO-LEFT OVERRIDE}"
SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "batch_size": [16, 32, 64],
    "dropout": {"low": 0, "high": 0.5, "step": 0.1},
}


def search_request(search_id: str = "search-0001", **fields: Any) -> RequestSearch:
    """A search of 8 trials in ``SPACE``, unless ``fields`` say otherwise."""
    return RequestSearch.model_validate(
        {"search_id": search_id, "snapshot_id": "snap", "space": SPACE, "trials": 8, "by": "ann"}
        | {"requested_at": AT, "base": "scratch", "options": {"epochs": 6}}
        | fields
    )


def trial(number: int, score: float | None = None, **fields: Any) -> Trial:
    """A trial that came to its end with ``score``, or runs."""
    state = TrialState.RUNNING if score is None else TrialState.COMPLETE
    ended = {} if score is None else {"best_val_accuracy": score, "best_epoch": 6, "epochs": 6}
    return Trial.model_validate(
        {"number": number, "run_id": run_of("search-0001", number), "state": state, "chosen": {}, "steps": {}}
        | {"asked_at": AT, "ended_at": None if score is None else AT + timedelta(minutes=number + 1)}
        | ended
        | fields
    )


def merit(chosen: dict[str, Scalar]) -> float:
    """A made-up validation accuracy: the best learning rate is 0.003, the best dropout 0.2."""
    rate, dropout = float(chosen["learning_rate"]), float(chosen["dropout"])
    return max(0.0, 0.9 - 20 * abs(rate - 0.003) - (dropout - 0.2) ** 2)


class SearchDesk:
    """The store of a trainer in one database; what it tells is kept, and may be told to it again."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.told: list[Message] = []

    def say(self, message: Message, at: datetime = AT) -> None:
        """Hear it as the handlers do, in one transaction."""
        self._do(lambda unit: self._apply(unit, message, at))

    def refuse(self, request: RequestSearch, why: str) -> None:
        """As when the request was put aside."""
        self._do(lambda unit: searches.refuse_search(unit, request, TrainingError(why, "another"), AT))

    def _do(self, work: Callable[[Unit], None]) -> None:
        with self.engine.connect().execution_options(immediate=True) as connection, connection.begin():
            unit = Unit(connection, "trainer")
            work(unit)
            self.told.extend(unit._messages)

    def _apply(self, unit: Unit, message: Message, at: datetime) -> None:
        match message:
            case RequestSearch():
                searches.begin_search(unit, message, at)
            case CancelTraining():
                if not searches.cancel_search(unit, message, at):
                    cancel_run(unit, message, at)
            case SearchCompleted():
                searches.end_search(unit, message)
            case TrainProgressed():
                search_id = searches.search_of(unit.connection, message.run_id)
                if search_id is not None:
                    searches.note_progress(unit, search_id, message, at)
            case TrialCompleted() | TrainFailed() | TrainCancelled():
                search_id = searches.search_of(unit.connection, message.run_id)
                if search_id is not None:
                    searches.end_trial(unit, search_id, message, at)

    @property
    def asked(self) -> list[RequestTraining]:
        """Every trial that was asked for."""
        return [message for message in self.told if isinstance(message, RequestTraining)]

    def search(self, search_id: str = "search-0001") -> searches.Search:
        """As it stands."""
        with self.engine.connect() as connection:
            found = searches.find_search(connection, search_id)
        assert found is not None
        return found

    def stops(self) -> dict[str, str]:
        """Run id -> kind of the order to stop it."""
        table = metadata.tables["stop"]
        with self.engine.connect() as connection:
            return {row.run_id: row.kind for row in connection.execute(sa.select(table))}


@contextmanager
def search_desk(url: str = "sqlite://") -> Iterator[SearchDesk]:
    """With the trainer's tables, empty."""
    engine = make_engine(url)
    metadata.create_all(engine)
    try:
        yield SearchDesk(engine)
    finally:
        engine.dispose()


def progressed(run_id: str, epoch: int, accuracy: float, epochs: int = 6) -> TrainProgressed:
    """One epoch of a trial."""
    return TrainProgressed(
        run_id=run_id, epoch=epoch, epochs=epochs, loss=1.0, accuracy=accuracy, val_accuracy=accuracy,
        images_per_s=1.0, eta_s=1.0, progressed_at=AT,
    )  # fmt: skip


def completed(run_id: str, accuracy: float, *, pruned: bool = False, epochs: int = 6) -> TrialCompleted:
    """A trial's end."""
    return TrialCompleted(
        run_id=run_id, snapshot_id="snap", network="small_cnn", epochs=epochs, best_epoch=epochs,
        best_val_accuracy=accuracy, history=HELD, completed_at=AT, pruned=pruned,
    )  # fmt: skip


def failed(run_id: str, error: str = "no memory", remedy: str = "buy some") -> TrainFailed:
    """A trial's other end."""
    return TrainFailed(run_id=run_id, error=error, remedy=remedy, failed_at=AT)


def cancelled(run_id: str) -> TrainCancelled:
    """A trial's third end."""
    return TrainCancelled(run_id=run_id, by="ann", epochs=1, cancelled_at=AT)


def shuffled_twice(messages: list[Message], seed: int) -> list[Message]:
    """Every message twice, in any order."""
    double = messages * 2
    random.Random(seed).shuffle(double)
    return double


REPORTED_SPACE: dict[str, Any] = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "dropout": {"low": 0, "high": 0.5, "step": 0.1},
    "optimizer": ["adam", "sgd"],
    "flip": [True, False],
}


def hostile_report(count: int = 8) -> ReportSpec:
    """A search whose names are hostile: so many completed trials, a pruned and a failed one."""
    trials: list[Trial] = []
    for number in range(count):
        chosen: dict[str, Scalar] = {"learning_rate": 0.001 * (number + 1), "dropout": number % 6 / 10}
        chosen |= {"optimizer": ["adam", "sgd"][number % 2], "flip": number % 3 == 0}
        steps = {epoch: merit(chosen) * epoch / 6 for epoch in range(1, 7)}
        trials.append(trial(number, merit(chosen), chosen=chosen, steps=steps))
    trials.append(trial(count, 0.99, chosen=trials[0].chosen, state=TrialState.PRUNED))
    trials.append(trial(count + 1, chosen=trials[0].chosen, state=TrialState.FAILED, error=HOSTILE))
    request = search_request(space=REPORTED_SPACE, trials=count + 2, by=HOSTILE, snapshot_id=HOSTILE)
    return ReportSpec(request=request, base="007", trials=tuple(trials))
