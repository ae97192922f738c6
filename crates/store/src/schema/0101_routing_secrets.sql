-- Secrets of webhooks, which the text of the routing has `<secret>` for: JSON, empty for none.
ALTER TABLE alert_routing ADD COLUMN secrets TEXT NOT NULL DEFAULT '';
