-- What each webhook of a receiver took last of each group that fires
CREATE TABLE alert_webhooks (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL
);
