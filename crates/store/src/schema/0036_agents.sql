-- What lets a host in for the first time: used once, good for a while.
CREATE TABLE enrolments (
  id TEXT PRIMARY KEY,
  secret_hash TEXT NOT NULL,
  host TEXT NOT NULL,
  environment TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX enrolments_secret ON enrolments (secret_hash);
-- Certificates of agents, by the digest of the certificate.
CREATE TABLE agent_certificates (
  fingerprint TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  environment TEXT NOT NULL,
  issued_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revoked_at BIGINT
);
CREATE INDEX agent_certificates_host ON agent_certificates (host);
