-- Browsers that take pages by push. `id` is the digest of the endpoint: a browser has one subscription, and one owner
CREATE TABLE push_browsers (
  id TEXT PRIMARY KEY,
  person TEXT NOT NULL,
  label TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  p256dh TEXT NOT NULL,
  auth TEXT NOT NULL,
  added_at BIGINT NOT NULL
);
CREATE INDEX push_browsers_by_person ON push_browsers (person);
