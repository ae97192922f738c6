-- One event of the record may be more than one word to a receiver: `part` counts them from 0.
CREATE TABLE forge_outbox_parts (
  forge TEXT NOT NULL,
  seq BIGINT NOT NULL,
  part BIGINT NOT NULL,
  deploy BIGINT NOT NULL,
  body TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  PRIMARY KEY (forge, seq, part)
);
INSERT INTO forge_outbox_parts (forge, seq, part, deploy, body, attempts, created_at, next_at)
  SELECT forge, seq, 0, deploy, body, attempts, created_at, next_at FROM forge_outbox;
DROP TABLE forge_outbox;
ALTER TABLE forge_outbox_parts RENAME TO forge_outbox;
CREATE INDEX forge_outbox_due ON forge_outbox (next_at);
