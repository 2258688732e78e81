"""Prometheus metrics of a service process; labels never carry ids."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector


class Metrics:
    """One registry per service object, so that tests can make many in one process."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        name = {"namespace": "menagerie", "registry": self.registry}
        self.messages = Counter(
            "messages",
            "Deliveries by outcome",
            ["durable", "outcome"],
            **name,  # type: ignore[arg-type]
        )
        self.seconds = Histogram(
            "handler_seconds",
            "Time in the handler, per call",
            ["durable"],
            buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600, 3600),
            **name,  # type: ignore[arg-type]
        )
        self.in_hand = Gauge("messages_in_hand", "Deliveries not settled", ["durable"], **name)  # type: ignore[arg-type]
        self.info = Gauge("service_info", "Which service this is", ["service"], **name)  # type: ignore[arg-type]
        self.info.labels(service).set(1)
