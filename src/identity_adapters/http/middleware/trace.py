"""Traces for OpenTelemetry, which are configured by its own variables; its packages are an extra.

A span has the name of the operation, its status and its outcome. (OpenTelemetry's instrumentation of ASGI
also sends the whole URL, which may contain an email.)
"""

import os
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from identity_adapters.http.state import OUTCOME, REQUEST_ID


def trace_requests(app: ASGIApp) -> ASGIApp:
    """Wrap an application, so that it sends a span for each request."""
    name = os.environ.get("OTEL_SERVICE_NAME", "identity")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("identity_adapters")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with tracer.start_as_current_span("other", extract(carrier), SpanKind.SERVER) as span:

            def send_with_status(message: Message) -> Any:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(StatusCode.ERROR)
                return send(message)

            await app(scope, receive, send_with_status)
            span.set_attribute("http.request.method", scope["method"])
            state: dict[str, Any] = scope["state"]
            for attribute in (OUTCOME, REQUEST_ID):
                if value := state.get(attribute):
                    text = value.decode() if isinstance(value, bytes) else str(value)
                    span.set_attribute(f"identity.{attribute}", text)
            if "path_template" in scope:
                span.update_name(getattr(scope["route_handler"], "operation_id", None) or "other")
                span.set_attribute("http.route", scope["path_template"])

    return application
