-- what each service and environment runs is looked for every second, among what ended lately
CREATE INDEX deploys_by_finished ON deploys (finished_at);
