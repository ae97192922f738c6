-- What waits for its turn to be deployed, in the order of the ids: what people asked for, what was pushed where the settings
-- deploy it by itself, and what was good in the stage before.
CREATE TABLE deploy_queue (
  id BIGINT PRIMARY KEY,
  service TEXT NOT NULL,
  environment TEXT NOT NULL,
  origin TEXT NOT NULL,
  actor_kind TEXT NOT NULL,
  actor TEXT NOT NULL,
  name TEXT NOT NULL,
  source TEXT NOT NULL,
  reference TEXT,
  sha TEXT NOT NULL,
  reason TEXT,
  after_deploy BIGINT,
  not_before BIGINT,
  asked_at BIGINT NOT NULL
);
CREATE INDEX deploy_queue_place ON deploy_queue (service, environment, id);
-- The deploy up to which somebody let a queue go on that stood.
CREATE TABLE deploy_queue_passed (
  service TEXT NOT NULL,
  environment TEXT NOT NULL,
  number BIGINT NOT NULL,
  PRIMARY KEY (service, environment)
);
-- Pushed commits waited in a place of their own.
INSERT INTO deploy_queue (id, service, environment, origin, actor_kind, actor, name, source, sha, reason, asked_at)
  SELECT row_number() OVER (ORDER BY asked_at, service, environment), service, environment, 'push', 'robot', forge, forge, 'api',
    sha, pusher || ' pushed it', asked_at FROM forge_wanted;
INSERT INTO counters (name, value) SELECT 'deploy_queue', count(*) FROM forge_wanted;
DROP TABLE forge_wanted;
