"""Sends with the clients that programs use: statsd over UDP and TCP, datadog over a Unix socket, graphyte over TCP.

statsd_graphite.py UDP_PORT TCP_PORT SOCKET GRAPHITE_PORT
"""

import sys
import time

import graphyte
import statsd
from datadog.dogstatsd import DogStatsd

udp_port, tcp_port, socket_path, graphite_port = sys.argv[1:]

udp = statsd.StatsClient("127.0.0.1", int(udp_port), prefix="etsy")
with udp.pipeline() as together:
    together.incr("uploads", 3)
    together.gauge("queue", 7)
    together.gauge("queue", -2, delta=True)
    together.timing("resize", 320)
    together.set("visitors", "a")
    together.set("visitors", "b")

tcp = statsd.TCPStatsClient("127.0.0.1", int(tcp_port), prefix="tcp")
for _ in range(100):
    tcp.incr("uploads")
tcp.close()

dog = DogStatsd(socket_path=f"unix://{socket_path}", constant_tags=["env:prod"], telemetry_min_flush_interval=0)
dog.disable_telemetry()
dog.increment("dog.uploads", 4, tags=["kind:photo"])
dog.distribution("dog.size", 9.5)
dog.event("a title", "a text")
dog.service_check("redis", DogStatsd.CRITICAL, tags=["zone:a"], hostname="h1", message="no route | #to:it")
dog.flush()
dog.close_socket()

sender = graphyte.Sender("127.0.0.1", port=int(graphite_port), prefix="servers.h1")
sender.send("cpu.load", 0.5, timestamp=time.time())
sender.send("disk.used", 12, timestamp=time.time(), tags={"rack": "a1"})
sender.stop()
print("sent")
