-- Senders of alerts that have a secret of their own. `id` changes with the secret, which is derived from it and a key outside.
CREATE TABLE alert_sources (
  name TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  changed_at BIGINT NOT NULL
);
-- Deliveries that were taken, for as long as their signed time lets them in again.
CREATE TABLE alert_source_deliveries (
  source TEXT NOT NULL,
  digest TEXT NOT NULL,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (source, digest)
);
CREATE INDEX alert_source_deliveries_at ON alert_source_deliveries (received_at);
-- Which alert a mail is of, so that an answer to it is of the same.
CREATE TABLE alert_source_mails (
  source TEXT NOT NULL,
  message_id TEXT NOT NULL,
  dedup_key TEXT NOT NULL,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (source, message_id)
);
CREATE INDEX alert_source_mails_at ON alert_source_mails (received_at);
