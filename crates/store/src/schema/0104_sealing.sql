-- Which deliveries go to one address, since what is sealed tells nothing: a digest under a key; empty for those of before.
ALTER TABLE page_deliveries ADD COLUMN address TEXT NOT NULL DEFAULT '';
