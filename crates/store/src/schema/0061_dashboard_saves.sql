-- Who saved a dashboard last, and its version. The row outlives the dashboard: one that is made again under the name goes on
-- counting, so that a version never names two contents.
CREATE TABLE dashboard_saves (
  name TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  saved_by TEXT NOT NULL,
  saved_at BIGINT NOT NULL
);
