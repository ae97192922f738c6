"""One Python client, asked for flags on standard input: prints for each line the answer and the milliseconds it took.

follow.py unleash|unleash-streaming|ofrep URL TOKEN FOLDER
"""

import json
import logging
import os
import sys
import time

logging.disable(logging.CRITICAL)
kind, url, token, folder = sys.argv[1:]

if kind == "ofrep":
    from openfeature import api
    from openfeature.contrib.provider.ofrep import OFREPProvider
    from openfeature.evaluation_context import EvaluationContext

    api.set_provider(OFREPProvider(url, headers_factory=lambda: {"Authorization": f"Bearer {token}"}, timeout=1.0))
    client = api.get_client()

    def ask(flag):
        details = client.get_boolean_details(flag, False, EvaluationContext(targeting_key="1"))
        return None if details.error_code else details.value

else:
    from UnleashClient import UnleashClient

    streaming = {"experimental_mode": {"type": "streaming"}} if kind == "unleash-streaming" else {}
    unleash = UnleashClient(
        url=f"{url}/api",
        app_name=kind,
        refresh_interval=1,
        metrics_interval=1,
        request_timeout=20 if streaming else 2,
        request_retries=1,
        custom_headers={"Authorization": token},
        cache_directory=folder,
        **streaming,
    )
    unleash.initialize_client()

    def ask(flag):
        return unleash.is_enabled(flag, {"userId": "1"})


for line in sys.stdin:
    started = time.monotonic()
    value = ask(line.strip())
    print(json.dumps({"value": value, "took_ms": (time.monotonic() - started) * 1000}), flush=True)
# The SDKs' threads wait for the network when they are told to stop; the test does not wait for them.
os._exit(0)
