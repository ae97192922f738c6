-- As a storm ends, each batch asks which incidents have no alert that goes on: those that have ended are not walked over
CREATE INDEX incident_alerts_live ON incident_alerts (incident) WHERE ended IS NULL OR ended <> 'resolved';
