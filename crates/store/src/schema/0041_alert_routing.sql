-- One row: where alerts go, as it was written
CREATE TABLE alert_routing (
  name TEXT PRIMARY KEY,
  yaml TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by TEXT NOT NULL
);
