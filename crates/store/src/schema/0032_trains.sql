-- one train for each place that has one; `body` is its state
CREATE TABLE trains (
  service TEXT NOT NULL,
  environment TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (service, environment)
);
