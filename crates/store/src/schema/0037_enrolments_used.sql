-- The digest of the key for which a used enrolment was given: until it runs out, an answer that was lost is given again.
ALTER TABLE enrolments ADD COLUMN used_key TEXT;
