"""OpenTelemetry: spans go to an OTLP endpoint when one is set; trace context always travels."""

from __future__ import annotations


def configure_tracing(service: str, otlp_endpoint: str | None) -> None:
    """Export spans of this process; without an endpoint the API stays a no-op and costs nothing."""
    if not otlp_endpoint:
        return
    # Only when traced: the exporter costs memory in every service process.
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": f"menagerie-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{otlp_endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)
