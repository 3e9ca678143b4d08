"""Traces, as a collector gets them."""

import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.processes import service
from tests.support.waiting import wait_until

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@contextmanager
def collector():
    """Its address, and the raw requests that it got."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def spans(received):
    """Each span with its attributes, and the name of its service."""
    for body in received:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    values = {
                        one.key: one.value.string_value or one.value.int_value for one in span.attributes
                    }
                    yield span, values, names["service.name"]


def test_a_request_is_a_span_of_the_trace_that_it_belongs_to(tmp_path):
    with collector() as (address, received):
        settings = {
            "IDENTITY_DATA_DIR": tmp_path / "data",
            "IDENTITY_TRACES": "yes",
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        with service(tmp_path, **settings) as running:
            headers = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
            body = json.dumps({"email": "marked@x", "phoneNumber": "5550147"})
            running.request("POST", "/identify?marked=marked@x", body, headers)
            running.request("GET", "/identities/1", None, {})
            running.request("GET", "/marked@x", None, {})
            wait_until(
                lambda: {"identify", "identity", "other"} <= {span.name for span, *_ in spans(received)}
            )
        [(span, values, name)] = [found for found in spans(received) if found[0].name == "identify"]
        assert span.trace_id.hex() == TRACE_ID
        assert name == "identity"
        assert values == {
            "http.request.method": "POST", "http.response.status_code": 200, "http.route": "/identify",
            "identity.outcome": "created", "identity.request_id": TRACE_ID,
        }  # fmt: skip
        [(_, values, _)] = [found for found in spans(received) if found[0].name == "identity"]
        assert values["http.route"] == "/identities/{contactId}"
        assert not any(mark in body for body in received for mark in (b"marked", b"5550147"))


def test_a_collector_that_is_away_disturbs_nobody(tmp_path):
    settings = {
        "IDENTITY_DATA_DIR": tmp_path / "data",
        "IDENTITY_TRACES": "yes",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    with service(tmp_path, **settings) as running:
        for _ in range(20):
            assert running.identify("marked@x")
        assert running.stop() == 0
    assert "marked" not in running.output()
