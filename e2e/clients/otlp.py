"""Counts and measures with the OpenTelemetry SDK as a program would, and exports to URL by `http` or `grpc`.

otlp.py http|grpc cumulative|delta URL TOKEN
"""

import sys

from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

transport, temporality, url, token = sys.argv[1:]
options = {}
if temporality == "delta":
    options["preferred_temporality"] = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
if transport == "http":
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    options |= {"endpoint": f"{url}/v1/metrics", "headers": {"authorization": f"Bearer {token}"}, "compression": Compression.Gzip}
else:
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    compression = grpc.Compression.Gzip if temporality == "delta" else grpc.Compression.NoCompression
    options |= {"endpoint": url, "insecure": True, "headers": [("authorization", f"Bearer {token}")], "compression": compression}

name = f"otlp-{transport}-{temporality}"
reader = PeriodicExportingMetricReader(OTLPMetricExporter(**options), export_interval_millis=3_600_000)
provider = MeterProvider(
    metric_readers=[reader],
    resource=Resource.create({"service.name": name, "service.instance.id": "one", "host.name": "h1"}),
    views=[View(instrument_name="fine", aggregation=ExponentialBucketHistogramAggregation())],
)
meter = provider.get_meter("test")
uploads = meter.create_counter("uploads", unit="By", description="Bytes taken in.")
open_now = meter.create_up_down_counter("open.connections")
meter.create_observable_gauge("queue.size", [lambda _: [Observation(7, {"queue": "resize"})]])
latency = meter.create_histogram("latency", unit="s")
fine = meter.create_histogram("fine", unit="s")
for round_number in (1, 2):
    uploads.add(10 * round_number, {"http.method": "PUT"})
    open_now.add(3)
    open_now.add(-1)
    for seconds in (0.02, 0.3, 4.0):
        latency.record(seconds)
        fine.record(seconds)
    if not provider.force_flush():
        sys.exit("the export failed")
reader.shutdown()
print("exported")
