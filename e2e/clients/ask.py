"""Asks the Python clients about a list of people and prints their answers as one JSON document."""

import json
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from UnleashClient import UnleashClient

url, client_token, people = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

unleash = UnleashClient(
    url=f"{url}/api",
    app_name="python",
    instance_id="test",
    refresh_interval=3600,
    metrics_interval=3600,
    custom_headers={"Authorization": client_token},
    cache_directory=sys.argv[4],
)
unleash.initialize_client()

api.set_provider(OFREPProvider(url, headers_factory=lambda: {"Authorization": f"Bearer {client_token}"}))
remote = api.get_client()

answers = {"unleash": {}, "ofrep": {}}
for person, plan in people:
    context = {"userId": person, "properties": {"plan": plan}}
    variant = unleash.get_variant("colour", context)
    limit = unleash.get_variant("limit", context)
    answers["unleash"][person] = [
        unleash.is_enabled("half", context),
        unleash.is_enabled("pro_only", context),
        variant["payload"]["value"] if variant["enabled"] else "grey",
        float(limit["payload"]["value"]) if limit["enabled"] else 0.5,
    ]
    context = EvaluationContext(targeting_key=person, attributes={"plan": plan})
    answers["ofrep"][person] = [
        remote.get_boolean_value("half", False, context),
        remote.get_boolean_value("pro_only", False, context),
        remote.get_string_value("colour", "the code's own", context),
        remote.get_float_value("limit", -1.0, context),
    ]
missing = remote.get_boolean_details("ghost", True, EvaluationContext(targeting_key="1"))
answers["missing"] = [missing.value, str(missing.error_code.value)]
unleash.destroy()
print(json.dumps(answers))
