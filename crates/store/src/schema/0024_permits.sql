-- Adaptive permits: what people wrote, and where each stands
CREATE TABLE permits (
  job TEXT PRIMARY KEY,
  body TEXT NOT NULL,
  state TEXT,
  evaluated_at BIGINT
);
