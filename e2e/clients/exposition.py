"""A metrics page by Prometheus' client for Python: exposition.py PORT. Ends when it is killed."""
import signal
import sys

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary, start_http_server

registry = CollectorRegistry()
jobs = Counter("jobs", 'Jobs "done"\n.', ["queue"], registry=registry)
jobs.labels('a"b\\c\n').inc(3, exemplar={"trace_id": "abc"})
latency = Histogram("latency_seconds", "L", buckets=(0.5, 1, 10), registry=registry)
latency.observe(0.7, exemplar={"trace_id": "def"})
latency.observe(99)
Summary("size", "S", unit="bytes", registry=registry).observe(4)
Gauge("temp", "T", registry=registry).set(float("nan"))
Info("build", "B", registry=registry).info({"v": "1"})
Enum("st", "E", states=["x", "y"], registry=registry)
start_http_server(int(sys.argv[1]), addr="127.0.0.1", registry=registry)
signal.pause()
