"""Measures and asks as a service would with the Unleash Python SDK, and sends it: URL TOKEN FOLDER."""

import sys

from UnleashClient import UnleashClient

url, token, folder = sys.argv[1:]
unleash = UnleashClient(
    url=f"{url}/api",
    app_name="python",
    refresh_interval=3600,
    metrics_interval=3600,
    custom_headers={"Authorization": token},
    cache_directory=folder,
)
unleash.initialize_client()
measured = unleash.impact_metrics
measured.define_counter("purchases", "Number of purchases")
measured.define_gauge("open_carts", "Carts that are open")
measured.define_histogram("checkout_seconds", "How long a checkout takes", [0.1, 1.0])
for value in (1, 2):
    measured.increment_counter("purchases", value)
measured.update_gauge("open_carts", 7.5)
for value in (0.05, 0.5, 5.0):
    measured.observe_histogram("checkout_seconds", value)
for person in ("1", "2", "3"):
    unleash.get_variant("colour", {"userId": person})
unleash.destroy()
