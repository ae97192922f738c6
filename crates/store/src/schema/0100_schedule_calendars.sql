-- A calendar that a schedule follows: where it is, how asking for it goes, and what it said last. `url` is empty when none of the
-- schedule's plans follows it any more; the shifts stay, for the past does not change
CREATE TABLE schedule_calendars (
  schedule TEXT PRIMARY KEY,
  url TEXT NOT NULL,
  refresh_ms BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  etag TEXT NOT NULL,
  last_modified TEXT NOT NULL,
  read_at BIGINT,
  until_at BIGINT NOT NULL,
  failing_since BIGINT,
  failure TEXT NOT NULL,
  unnamed TEXT NOT NULL,
  shifts TEXT NOT NULL,
  body TEXT NOT NULL
);
