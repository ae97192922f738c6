CREATE TABLE people (
  login TEXT PRIMARY KEY,
  password_hash TEXT,
  disabled_at BIGINT,
  body TEXT NOT NULL
);
CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  secret_hash TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT,
  last_used_at BIGINT,
  body TEXT NOT NULL
);
CREATE TABLE sessions (
  secret_hash TEXT PRIMARY KEY,
  login TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE TABLE environments (
  name TEXT PRIMARY KEY,
  position BIGINT NOT NULL,
  body TEXT NOT NULL
);
CREATE TABLE one_time (
  name TEXT PRIMARY KEY,
  secret_hash TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  body TEXT NOT NULL
);
