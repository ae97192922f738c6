-- Who was paged when in a stretch, whatever else the record holds of it
CREATE INDEX pages_by_due ON pages (due_at);
