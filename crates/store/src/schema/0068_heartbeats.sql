-- When each heartbeat was heard last. `late_at` is when it was said to be late, 0 while it is not.
CREATE TABLE heartbeats (
  source TEXT PRIMARY KEY,
  last_at BIGINT NOT NULL,
  beats BIGINT NOT NULL,
  late_at BIGINT NOT NULL
);
