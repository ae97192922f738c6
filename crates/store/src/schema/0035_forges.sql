-- What was received from the places where repositories live, so that nothing counts twice. `digest` is over the body: where a
-- delivery's id is not signed, a recorded request could come again under another.
CREATE TABLE forge_deliveries (
  forge TEXT NOT NULL,
  digest TEXT NOT NULL,
  delivery TEXT,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (forge, digest)
);
CREATE INDEX forge_deliveries_id ON forge_deliveries (forge, delivery);
CREATE INDEX forge_deliveries_at ON forge_deliveries (received_at);
-- The newest commit that is to be deployed by itself, until it is.
CREATE TABLE forge_wanted (
  service TEXT NOT NULL,
  environment TEXT NOT NULL,
  forge TEXT NOT NULL,
  sha TEXT NOT NULL,
  pusher TEXT NOT NULL,
  asked_at BIGINT NOT NULL,
  PRIMARY KEY (service, environment)
);
-- What is yet to be told: one row for each event, in the order of the record.
CREATE TABLE forge_outbox (
  forge TEXT NOT NULL,
  seq BIGINT NOT NULL,
  deploy BIGINT NOT NULL,
  body TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  PRIMARY KEY (forge, seq)
);
CREATE INDEX forge_outbox_due ON forge_outbox (next_at);
-- The number a forge gave to a deploy of ours.
CREATE TABLE forge_deployments (
  forge TEXT NOT NULL,
  deploy BIGINT NOT NULL,
  remote TEXT NOT NULL,
  PRIMARY KEY (forge, deploy)
);
