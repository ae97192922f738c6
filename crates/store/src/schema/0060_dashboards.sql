CREATE TABLE dashboards (
  name TEXT PRIMARY KEY,
  service TEXT,
  body TEXT NOT NULL
);
