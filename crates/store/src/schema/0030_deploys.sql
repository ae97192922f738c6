CREATE TABLE services (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL
);
-- `body` is written once, when the deploy is asked for; `run` is the state machine, written on every step
CREATE TABLE deploys (
  number BIGINT PRIMARY KEY,
  service TEXT NOT NULL,
  environment TEXT NOT NULL,
  state TEXT NOT NULL,
  kind TEXT NOT NULL,
  final BIGINT NOT NULL,
  sha TEXT NOT NULL,
  digest TEXT,
  reverts BIGINT,
  started_at BIGINT NOT NULL,
  finished_at BIGINT,
  body TEXT NOT NULL,
  run TEXT NOT NULL
);
CREATE INDEX deploys_by_service ON deploys (service, environment, number);
CREATE INDEX deploys_unfinished ON deploys (final, number);
CREATE INDEX deploys_by_reverts ON deploys (reverts);
CREATE TABLE artifacts (
  service TEXT NOT NULL,
  sha TEXT NOT NULL,
  recipe TEXT NOT NULL,
  digest TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (service, sha, recipe)
);
CREATE TABLE hosts (
  name TEXT PRIMARY KEY,
  environment TEXT NOT NULL,
  connected BIGINT NOT NULL,
  last_seen BIGINT NOT NULL,
  body TEXT NOT NULL
);
CREATE TABLE locks (
  id TEXT PRIMARY KEY,
  service TEXT NOT NULL,
  environment TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  released_at BIGINT,
  body TEXT NOT NULL
);
CREATE INDEX locks_open ON locks (service, environment, expires_at);
