-- What was said of alerts to a node that does not take any, until the node that does has taken it. `body` is JSON
CREATE TABLE alert_inbox (
  id BIGINT PRIMARY KEY,
  body TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  at BIGINT NOT NULL
);
