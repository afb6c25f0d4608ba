"""Sends metrics, logs and a trace with the stock OpenTelemetry SDK.

Where to and with which token is in the environment that the SDK knows:
OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_COMPRESSION.
Ends with an error if anything was not accepted.
"""

import logging
import sys

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode


class Complaints(logging.Handler):
    """What the SDK complains about: it does not raise when an export fails."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


complaints = Complaints()
logging.getLogger("opentelemetry").addHandler(complaints)
resource = Resource.create({"service.name": "checkout", "deployment.environment.name": "test"})


def metrics():
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)
    provider = MeterProvider(metric_readers=[reader], resource=resource)
    meter = provider.get_meter("test")
    meter.create_counter("orders").add(7, {"kind": "book"})
    meter.create_gauge("queue.length").set(12.5)
    durations = meter.create_histogram("http.server.request.duration", unit="s")
    for number in range(100):
        durations.record(0.001 * number, {"http.route": "/pay"})
    provider.shutdown()


def traces(provider):
    callee = TracerProvider(resource=Resource.create({"service.name": "payment"}))
    callee.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer, other = provider.get_tracer("test"), callee.get_tracer("test")
    with tracer.start_as_current_span("POST /pay", kind=SpanKind.SERVER) as root:
        with other.start_as_current_span("charge", kind=SpanKind.SERVER) as child:
            child.record_exception(ValueError("card refused"))
            child.set_status(Status(StatusCode.ERROR, "refused"))
        logging.getLogger("shop").error("payment failed: %s", "card refused")
        trace = format(root.get_span_context().trace_id, "032x")
    callee.shutdown()
    return trace


logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
logging.getLogger("shop").addHandler(LoggingHandler(logger_provider=logs))
spans = TracerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))

metrics()
trace_id = traces(spans)
spans.shutdown()
logs.shutdown()
if complaints.said:
    sys.exit("\n".join(complaints.said))
print(trace_id)
