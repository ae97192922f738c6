-- The words of events are put into the index behind their transaction. All events so far are in it
INSERT INTO cursors (name, value) SELECT 'events_search', CAST(COALESCE(MAX(seq), 0) AS VARCHAR) FROM events;
