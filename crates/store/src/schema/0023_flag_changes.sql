-- Ramp plans that flags share
CREATE TABLE ramp_plans (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL
);
-- Changes that are due at an instant, and changes that wait for a second person; `state` is `pending` until it ended.
-- `due_at` is when it is done, or when the wait is over
CREATE TABLE flag_changes (
  kind TEXT NOT NULL,
  number BIGINT NOT NULL,
  flag TEXT NOT NULL,
  environment TEXT NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  ended_at BIGINT,
  body TEXT NOT NULL,
  PRIMARY KEY (kind, number)
);
CREATE INDEX flag_changes_by_due ON flag_changes (state, due_at);
CREATE INDEX flag_changes_by_flag ON flag_changes (flag, state);
