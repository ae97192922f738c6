"""Answers the cases of a client specification through the Unleash Python SDK.

Each line of standard input is a job {url, token, folder, streaming, cases: [[toggle, context, is_variant], ...]}, and
each line of output the list of answers. A streaming job is asked again with `again` until the test is content.
"""

import json
import logging
import os
import sys

from UnleashClient import UnleashClient
from UnleashClient.utils import InstanceAllowType

logging.disable(logging.CRITICAL)
number = 0
client = None


def answers(cases):
    out = []
    for toggle, context, is_variant in cases:
        out.append(client.get_variant(toggle, context) if is_variant else client.is_enabled(toggle, context))
    return out


for line in sys.stdin:
    job = json.loads(line)
    if "again" not in job:
        number += 1
        client = UnleashClient(
            url=f"{job['url']}/api",
            app_name=f"specification-{number}",
            refresh_interval=3600,
            disable_metrics=True,
            disable_registration=True,
            custom_headers={"Authorization": job["token"]},
            cache_directory=job["folder"],
            multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
            **({"experimental_mode": {"type": "streaming"}} if job["streaming"] else {}),
        )
        client.initialize_client()
    print(json.dumps(answers(job["cases"])), flush=True)
os._exit(0)
