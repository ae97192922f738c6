-- What came for a check to a node that does not look at checks, until the node that does has taken it. `body` is JSON
CREATE TABLE check_inbox (
  id BIGINT PRIMARY KEY,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  at BIGINT NOT NULL
);
