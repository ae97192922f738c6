-- What a schedule was from an instant on; never changed. A schedule without rows is its body, always
CREATE TABLE schedule_versions (
  schedule TEXT NOT NULL,
  number BIGINT NOT NULL,
  from_at BIGINT NOT NULL,
  made_at BIGINT NOT NULL,
  made_by TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (schedule, number)
);
-- Asked of somebody: `state` is open, accepted, declined or withdrawn
CREATE TABLE schedule_swaps (
  id BIGINT PRIMARY KEY,
  schedule TEXT NOT NULL,
  state TEXT NOT NULL,
  ends_at BIGINT NOT NULL,
  body TEXT NOT NULL
);
CREATE INDEX schedule_swaps_by_state ON schedule_swaps (state, ends_at);
-- The address of a person's calendar, by the hash of its secret
CREATE TABLE calendar_feeds (
  login TEXT PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE,
  made_at BIGINT NOT NULL
);
