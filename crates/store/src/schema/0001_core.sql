-- The record: what happened, in order, each row chained to the one before by its hash.
CREATE TABLE events (
  seq          BIGINT PRIMARY KEY,
  id           TEXT NOT NULL,
  occurred_at  BIGINT NOT NULL,
  recorded_at  BIGINT NOT NULL,
  actor_kind   TEXT NOT NULL,
  actor_id     TEXT NOT NULL,
  behalf_kind  TEXT,
  behalf_id    TEXT,
  kind         TEXT NOT NULL,
  service      TEXT,
  environment  TEXT,
  host         TEXT,
  flag         TEXT,
  alert        TEXT,
  incident     BIGINT,
  deploy       BIGINT,
  severity     TEXT NOT NULL,
  text         TEXT NOT NULL,
  data         TEXT NOT NULL,
  correlation  TEXT,
  causation    TEXT,
  source       TEXT NOT NULL,
  visibility   TEXT NOT NULL,
  prev_hash    TEXT NOT NULL,
  hash         TEXT NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_kind ON events (kind, seq);
CREATE INDEX events_occurred_at ON events (occurred_at);
CREATE INDEX events_actor ON events (actor_id, seq);
CREATE INDEX events_service ON events (service, seq) WHERE service IS NOT NULL;
CREATE INDEX events_flag ON events (flag, seq) WHERE flag IS NOT NULL;
CREATE INDEX events_incident ON events (incident, seq) WHERE incident IS NOT NULL;
CREATE INDEX events_deploy ON events (deploy, seq) WHERE deploy IS NOT NULL;
CREATE INDEX events_correlation ON events (correlation, seq) WHERE correlation IS NOT NULL;

-- Dense numbers: events, deploys, incidents.
CREATE TABLE counters (
  name   TEXT PRIMARY KEY,
  value  BIGINT NOT NULL
);

-- Who may act alone on a thing. The epoch only grows; a row is never deleted.
CREATE TABLE leases (
  name        TEXT PRIMARY KEY,
  holder      TEXT NOT NULL,
  epoch       BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL
);

-- How far a reader of the record has come, and other small marks.
CREATE TABLE cursors (
  name   TEXT PRIMARY KEY,
  value  TEXT NOT NULL
);
