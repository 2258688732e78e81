"""What the double-check queue and the confused pairs add to the evaluator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from contracts.commands import RequestDoubleCheck, RequestReview
from contracts.events import ConfusedPairsChanged
from contracts.message import Message
from services.evaluator.http.application import create_http
from services.evaluator.review.acting import Reviewing
from services.evaluator.review.reading import Queues
from services.runtime.service import Service

PUBLISHES: tuple[type[Message], ...] = (RequestDoubleCheck, ConfusedPairsChanged, RequestReview)


def register(service: Service, further: Iterable[Any] = ()) -> None:
    """Its durables and its HTTP side; ``further`` are routers that are mounted beside."""
    queues = Queues(service.store)
    reviewing = Reviewing(service.database, queues, service.log)
    service.handle("evaluator-confusions", reviewing.confusion)
    service.handle("evaluator-reviews", reviewing.requested)
    service.handle_batch("evaluator-verdicts", reviewing.verdicts)
    service.mount(create_http(service.database, queues, service.settings.api_token, further))
