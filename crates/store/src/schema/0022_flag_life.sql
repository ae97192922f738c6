-- When a client last asked for a flag, to the minute or so; not an event, since only transitions are.
CREATE TABLE flag_seen (
  key TEXT NOT NULL,
  environment TEXT NOT NULL,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (key, environment)
);
-- The places in one repository's source where flags are asked for, as its last scan found them.
CREATE TABLE flag_scans (
  repo TEXT PRIMARY KEY,
  scanned_at BIGINT NOT NULL,
  body TEXT NOT NULL
);
-- Named lists of people, each served as a segment.
CREATE TABLE flag_groups (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL
);
