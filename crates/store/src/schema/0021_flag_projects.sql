-- Projects that flags belong to; `default` is there from the start.
CREATE TABLE flag_projects (
  name TEXT PRIMARY KEY,
  body TEXT NOT NULL
);
