CREATE TABLE rule_files (
  name TEXT PRIMARY KEY,
  yaml TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT NOT NULL
);
-- One row per fingerprint, the latest episode; `body` is the state machine's alert
CREATE TABLE alerts (
  fingerprint TEXT PRIMARY KEY,
  rule_file TEXT NOT NULL,
  rule_group TEXT NOT NULL,
  rule TEXT NOT NULL,
  state TEXT NOT NULL,
  severity TEXT NOT NULL,
  service TEXT,
  environment TEXT,
  pages BIGINT NOT NULL,
  active_since BIGINT NOT NULL,
  ended_at BIGINT,
  incident BIGINT,
  body TEXT NOT NULL
);
CREATE INDEX alerts_by_end ON alerts (ended_at, active_since);
CREATE INDEX alerts_by_incident ON alerts (incident);
CREATE TABLE mutes (
  id BIGINT PRIMARY KEY,
  expires_at BIGINT NOT NULL,
  ended_at BIGINT,
  body TEXT NOT NULL
);
CREATE INDEX mutes_by_end ON mutes (ended_at, expires_at);
CREATE TABLE schedules (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL
);
CREATE TABLE schedule_overrides (
  id BIGINT PRIMARY KEY,
  schedule TEXT NOT NULL,
  end_at BIGINT NOT NULL,
  removed_at BIGINT,
  body TEXT NOT NULL
);
CREATE INDEX schedule_overrides_by_end ON schedule_overrides (schedule, end_at);
CREATE TABLE policies (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL
);
-- `open_key` is set while alerts may join the incident: one open incident per service and environment
CREATE TABLE incidents (
  number BIGINT PRIMARY KEY,
  open_key TEXT UNIQUE,
  state TEXT NOT NULL,
  opened_at BIGINT NOT NULL,
  next_at BIGINT,
  body TEXT NOT NULL
);
CREATE INDEX incidents_by_state ON incidents (state, number);
CREATE INDEX incidents_by_next ON incidents (next_at);
-- Which alerts belong to it; `ended` says how the alert ended, NULL while it has not
CREATE TABLE incident_alerts (
  incident BIGINT NOT NULL,
  fingerprint TEXT NOT NULL,
  joined_at BIGINT NOT NULL,
  ended TEXT,
  PRIMARY KEY (incident, fingerprint)
);
CREATE INDEX incident_alerts_by_fingerprint ON incident_alerts (fingerprint);
-- A page is decided once: the key is what makes it so
CREATE TABLE pages (
  id TEXT PRIMARY KEY,
  incident BIGINT NOT NULL,
  step BIGINT NOT NULL,
  round BIGINT NOT NULL,
  person TEXT NOT NULL,
  state TEXT NOT NULL,
  due_at BIGINT NOT NULL,
  delivered_at BIGINT,
  body TEXT NOT NULL,
  UNIQUE (incident, step, round, person)
);
CREATE TABLE page_deliveries (
  page TEXT NOT NULL,
  channel TEXT NOT NULL,
  target TEXT NOT NULL,
  idempotency_key TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  tries BIGINT NOT NULL,
  next_at BIGINT,
  epoch BIGINT NOT NULL,
  PRIMARY KEY (page, channel)
);
CREATE INDEX page_deliveries_by_next ON page_deliveries (next_at);
CREATE INDEX page_deliveries_by_state ON page_deliveries (state);
CREATE TABLE page_attempts (
  page TEXT NOT NULL,
  channel TEXT NOT NULL,
  n BIGINT NOT NULL,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  state TEXT NOT NULL,
  error TEXT,
  PRIMARY KEY (page, channel, n)
);
