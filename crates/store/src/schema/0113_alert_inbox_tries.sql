-- What could not be taken: how often it was tried, when it is tried again and why not. With `refused_at` it is tried no more and kept
ALTER TABLE alert_inbox ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alert_inbox ADD COLUMN next_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE alert_inbox ADD COLUMN why TEXT NOT NULL DEFAULT '';
ALTER TABLE alert_inbox ADD COLUMN refused_at BIGINT;
