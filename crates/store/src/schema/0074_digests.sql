-- Digests that people are owed: quiet messages, each to one person by one way that took it
CREATE TABLE digests (
  id TEXT PRIMARY KEY,
  person TEXT NOT NULL,
  state TEXT NOT NULL,
  tries BIGINT NOT NULL,
  next_at BIGINT,
  epoch BIGINT NOT NULL,
  made_at BIGINT NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX digests_by_next ON digests (next_at);
CREATE INDEX digests_by_state ON digests (state);
