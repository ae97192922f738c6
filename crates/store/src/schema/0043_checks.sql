-- Checks: what people wrote, and where each stands
CREATE TABLE checks (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  state TEXT,
  changed_at BIGINT NOT NULL
);
