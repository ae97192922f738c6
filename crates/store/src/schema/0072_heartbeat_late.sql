-- How often a heartbeat had been heard when it was said to be late: it is late until it is heard once more, whatever the clock says
ALTER TABLE heartbeats ADD COLUMN late_beats BIGINT NOT NULL DEFAULT 0;
-- The newest page of one person among all that belong to an incident, or to what stands for one, as test pages do
CREATE INDEX pages_by_person ON pages (incident, person, due_at);
-- Endings that nothing can reopen any more are deleted
CREATE INDEX incident_endings_by_end ON incident_endings (ended_at);
