-- What a service calls the message of a page that it took, for changing it later
ALTER TABLE page_deliveries ADD COLUMN message TEXT;
-- What people who were told are owed after their page: of each message the newest revision, which stands for all before it
CREATE TABLE page_updates (
  page TEXT NOT NULL,
  channel TEXT NOT NULL,
  kind TEXT NOT NULL,
  revision BIGINT NOT NULL,
  state TEXT NOT NULL,
  tries BIGINT NOT NULL,
  next_at BIGINT,
  epoch BIGINT NOT NULL,
  told_at BIGINT,
  told TEXT,
  PRIMARY KEY (page, channel)
);
CREATE INDEX page_updates_by_next ON page_updates (next_at);
CREATE INDEX page_updates_by_state ON page_updates (state);
