-- A flag with all its environments is one document; `version` grows by one with every write.
CREATE TABLE flags (
  key TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  archived_at BIGINT,
  body TEXT NOT NULL
);
CREATE TABLE flag_segments (
  id BIGINT PRIMARY KEY,
  body TEXT NOT NULL
);
