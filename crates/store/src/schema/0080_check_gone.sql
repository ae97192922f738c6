-- Alerts of checks that were deleted, until the alerts part has heard that they are over. `labels` is JSON.
CREATE TABLE check_gone (
  id BIGINT PRIMARY KEY,
  labels TEXT NOT NULL
);
