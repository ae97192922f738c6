-- The incident that ended last by its alerts, by the key under which they joined it: what fires again soon reopens it
CREATE TABLE incident_endings (
  open_key TEXT PRIMARY KEY,
  incident BIGINT NOT NULL,
  ended_at BIGINT NOT NULL
);
