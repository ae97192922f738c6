//! metrics: the store of samples for who runs it.

use serde_json::{Value, json};

use super::Common;
use super::client::Client;
use super::out::{Exit, Failure, Out, list, number, second, talk, text};

verb_of_words! {
    /// See where the series are and who sends them; delete series, take snapshots, backfill
    Metrics,
    "  tenfold metrics cardinality\n  tenfold metrics find http --unnamed\n  tenfold metrics sources\n  tenfold metrics targets zone=eu --health down\n  tenfold metrics store\n  tenfold metrics delete 'http_requests_total{service=\"photos\"}' --end 2027-01-01T00:00:00Z --dry-run\n  tenfold metrics snapshot\n  tenfold metrics import /var/lib/prometheus/metrics2\n  tenfold metrics import old.om"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show how large the store is, what bounds it, and damaged files that were moved aside.
    Store,
    /// List the metrics, labels and label pairs with the most series, and what has ended.
    Cardinality {
        /// Rows of each list.
        #[arg(long, value_name = "N", default_value_t = 10)]
        limit: usize,
    },
    /// List metrics by words of their names, those with the most series first.
    Find {
        /// Words that all stand in the name; every metric when none is given.
        #[arg(value_name = "WORD")]
        words: Vec<String>,
        /// Only metrics that no dashboard, rule, permit, ramp or plan of ramps names.
        #[arg(long)]
        unnamed: bool,
        /// Rows of the list.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// List who pushes samples, how many, and who went over a limit.
    Sources,
    /// List who is scraped and how that went last, what is down first.
    Targets {
        /// Words that all stand in the job, the address, the host, the error or a label (`zone=eu`).
        #[arg(value_name = "WORD")]
        words: Vec<String>,
        /// Only those that are `down`, `unknown` (not scraped yet) or `up`.
        #[arg(long, value_name = "HEALTH")]
        health: Option<String>,
        /// Only those of this job.
        #[arg(long, value_name = "JOB")]
        job: Option<String>,
        /// At most so many; all when absent.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// List the stores to which samples are sent on, and how that goes.
    Receivers,
    /// Delete the samples of matching series for good.
    Delete {
        #[arg(value_name = "SELECTOR", required = true)]
        selectors: Vec<String>,
        /// Only samples from this instant on.
        #[arg(long, value_name = "TIME")]
        start: Option<String>,
        /// Only samples up to this instant.
        #[arg(long, value_name = "TIME")]
        end: Option<String>,
        /// Only say what would be deleted.
        #[arg(long)]
        dry_run: bool,
    },
    /// Give the space of deleted samples back now.
    Clean,
    /// Take a copy of the samples on the server.
    Snapshot,
    /// Backfill: take old samples out of blocks of Prometheus or OpenMetrics text.
    Import {
        /// Prometheus' data directory, one block of it, or a file of OpenMetrics text.
        #[arg(value_name = "PATH", required = true)]
        paths: Vec<std::path::PathBuf>,
    },
}

/// Rows in columns as wide as they need; the first is text, the others are numbers.
fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let first = format!("{:<1$}", row[0], widths[0]);
        let rest = row[1..].iter().zip(&widths[1..]).map(|(cell, width)| format!("  {cell:>width$}"));
        format!("{first}{}", rest.collect::<String>()).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn part(view: &Value, key: &str, head: [&str; 3], cells: [&str; 3]) -> Vec<String> {
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for item in list(view, key) {
        let cell = |name: &&str| item[*name].as_str().map_or_else(|| item[*name].to_string(), str::to_owned);
        rows.push(cells.iter().map(cell).collect());
    }
    let mut lines = vec![String::new()];
    lines.extend(table(&rows));
    lines
}

fn cardinality(view: &Value) -> Vec<String> {
    let count = |key| number(view, key);
    let mut lines = vec![format!(
        "{} series, {} of them active (with samples in memory) of at most {}; {} labels, {} pairs",
        count("series"),
        count("active_series"),
        count("series_max"),
        count("labels"),
        count("label_pairs")
    )];
    let series = ["name", "series", "active"];
    lines.extend(part(view, "metrics", ["METRIC", "SERIES", "ACTIVE"], series));
    lines.extend(part(view, "churn", ["METRIC WITH ENDED SERIES", "SERIES", "ACTIVE"], series));
    if !list(view, "created").is_empty() {
        let created = ["name", "created_last_hour", "series"];
        lines.extend(part(view, "created", ["METRIC WITH NEW SERIES", "LAST HOUR", "SERIES"], created));
    }
    let labels = ["label", "values", "bytes"];
    lines.extend(part(view, "labels_by_values", ["LABEL", "VALUES", "BYTES"], labels));
    lines.extend(part(view, "labels_by_bytes", ["LABEL BY BYTES", "VALUES", "BYTES"], labels));
    lines.extend(part(view, "pairs_by_series", ["PAIR", "SERIES", "ACTIVE"], series));
    lines
}

fn found(view: &Value) -> Vec<String> {
    let mut lines = vec![format!("found: {}, with {} series", number(view, "found"), number(view, "series"))];
    lines.extend(part(view, "items", ["METRIC", "SERIES", "ACTIVE"], ["name", "series", "active"]));
    lines
}

fn sources(view: &Value) -> Vec<String> {
    let head = ["SOURCE", "SERIES", "OF", "SAMPLES", "REFUSED", "THROTTLED", "OVER"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for source in list(view, "items") {
        let refused: i64 = list(source, "refused").iter().map(|r| number(r, "count")).sum();
        let over: Vec<_> = list(source, "exceeded").iter().map(|over| text(over, "limit")).collect();
        rows.push(vec![
            format!("{} {}", text(source, "protocol"), text(source, "name")),
            number(source, "series").to_string(),
            number(source, "series_max").to_string(),
            number(source, "samples").to_string(),
            refused.to_string(),
            number(source, "throttled").to_string(),
            over.join(","),
        ]);
    }
    let mut lines = table(&rows);
    for job in list(view, "jobs") {
        for over in list(job, "exceeded") {
            let (name, limit, count) = (text(job, "job"), text(over, "limit"), number(over, "count"));
            let (at, example) = (text(over, "last_at"), text(over, "example"));
            lines.push(format!("scraped job {name} went over {limit} {count} time(s), last {at}: {example}"));
        }
    }
    lines
}

fn store(view: &Value) -> Vec<String> {
    let mut rows = Vec::new();
    for (what, key) in [("oldest sample", "oldest_at"), ("newest sample", "newest_at"), ("trouble", "trouble")] {
        if let Some(value) = view[key].as_str() {
            rows.push(vec![what.to_owned(), value.to_owned()]);
        }
    }
    for (what, key) in [
        ("bytes of blocks", "block_bytes"),
        ("bytes of rows of aggregates", "coarse_bytes"),
        ("bytes of the log", "log_bytes"),
        ("retention in days", "retention_days"),
        ("retention in bytes", "retention_bytes_max"),
        ("samples may come late by ms", "out_of_order_ms"),
        ("damaged files", "quarantined_count"),
    ] {
        if !view[key].is_null() {
            rows.push(vec![what.to_owned(), number(view, key).to_string()]);
        }
    }
    let mut lines = table(&rows);
    for file in list(view, "quarantined") {
        let at = file["moved_at"].as_str().unwrap_or("-");
        lines.push(format!("{at}  {} bytes  {}", number(file, "bytes"), text(file, "path")));
    }
    lines.extend(view["quarantine_advice"].as_str().map(str::to_owned));
    lines
}

fn target_line(out: Out, target: &Value) -> String {
    let (job, instance, url) = (text(target, "job"), text(target, "instance"), text(target, "url"));
    let scraped = if target["last_scrape"].is_string() {
        format!("  {}, took {} ms", second(target, "last_scrape"), number(target, "duration_ms"))
    } else {
        String::new()
    };
    let error = target["error"].as_str().map_or_else(String::new, |error| format!("  {error}"));
    format!("{}  {job}  {instance}  {url}{scraped}{error}", out.state(text(target, "health")))
}

/// How many there are of those that were asked for, and what to do where there are none.
fn about_targets(view: &Value, is_filtered: bool) -> String {
    let counts = &view["counts"];
    let (down, unknown, up) = (number(counts, "down"), number(counts, "unknown"), number(counts, "up"));
    match (down + unknown + up, is_filtered) {
        (0, false) => {
            "nothing is scraped yet; name files of Prometheus in the settings as metrics.scrape_config_files, or \
                       deploy to a host with an agent"
                .to_owned()
        }
        (0, true) => "no target is like this".to_owned(),
        _ => {
            let jobs = list(view, "jobs").len() as i64 + number(view, "jobs_left_out");
            let listed = list(view, "items").len();
            format!("{down} down, {unknown} not scraped yet, {up} up, in {jobs} job(s); listed: {listed}")
        }
    }
}

fn receivers(view: &Value) -> Vec<String> {
    let head = ["RECEIVER", "VERSION", "SENT", "REFUSED", "LEFT OUT", "DROPPED", "RETRIES", "QUEUE BYTES"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for one in list(view, "items") {
        let count = |key| number(one, key).to_string();
        rows.push(vec![
            text(one, "name").to_owned(),
            text(one, "version").to_owned(),
            count("sent"),
            count("refused"),
            count("left_out"),
            count("dropped"),
            count("retries"),
            count("queue_bytes"),
        ]);
    }
    let mut lines = table(&rows);
    for one in list(view, "items").iter().filter(|one| one["last_error"].is_string()) {
        lines.push(format!("{}: {}", text(one, "name"), text(one, "last_error")));
    }
    lines
}

impl Metrics {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        match self.what {
            What::Store => {
                let view = client.get("/api/metrics/store", &[]).await?;
                out.answer(&view, store);
            }
            What::Cardinality { limit } => {
                let view = client.get("/api/metrics/cardinality", &[("limit", &limit.to_string())]).await?;
                out.answer(&view, cardinality);
            }
            What::Find { words, unnamed, limit } => {
                let (words, unnamed, limit) = (words.join(" "), unnamed.to_string(), limit.to_string());
                let asked = [("words", words.as_str()), ("unnamed", unnamed.as_str()), ("limit", limit.as_str())];
                let view = client.get("/api/metrics/names", &asked).await?;
                out.answer(&view, found);
            }
            What::Sources => {
                let view = client.get("/api/metrics/sources", &[]).await?;
                if list(&view, "items").is_empty() {
                    talk("nobody has pushed samples since the server started");
                }
                out.answer(&view, sources);
            }
            What::Targets { words, health, job, limit } => {
                let (words, limit) = (words.join(" "), limit.map(|limit| limit.to_string()));
                let words = Some(words.as_str()).filter(|words| !words.is_empty());
                let asked = [("q", words), ("health", health.as_deref()), ("job", job.as_deref())];
                let mut asked: Vec<(&str, &str)> =
                    asked.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                let is_filtered = words.is_some() || job.is_some();
                let view = match &limit {
                    Some(limit) => {
                        asked.push(("limit", limit.as_str()));
                        client.get("/api/targets", &asked).await?
                    }
                    None => client.get_all("/api/targets", &asked).await?,
                };
                talk(&about_targets(&view, is_filtered));
                if let Some(trouble) = view["config_trouble"].as_str() {
                    talk(&format!(
                        "the files in metrics.scrape_config_files are not obeyed as they are now: {trouble}"
                    ));
                }
                out.answer(&view, |v| list(v, "items").iter().map(|one| target_line(out, one)).collect());
            }
            What::Receivers => {
                let view = client.get("/api/metrics/receivers", &[]).await?;
                if list(&view, "items").is_empty() {
                    talk("samples are not sent on; name a store in the settings under [[metrics.remote_write]]");
                }
                out.answer(&view, receivers);
            }
            What::Delete { selectors, start, end, dry_run } => {
                let mut body = json!({"selectors": selectors, "dry_run": dry_run});
                for (name, value) in [("start", start), ("end", end)] {
                    if let Some(value) = value {
                        body[name] = json!(value);
                    }
                }
                let done = client.post("/api/metrics/delete", &body).await?;
                let what = if dry_run { "would be deleted from" } else { "are deleted from" };
                talk(&format!("samples {what} {} series", number(&done, "series")));
                let examples =
                    |d: &Value| list(d, "examples").iter().filter_map(|e| Some(e.as_str()?.to_owned())).collect();
                out.answer(&done, examples);
            }
            What::Clean => {
                let done = client.post("/api/metrics/clean", &json!({})).await?;
                out.answer(&done, |d| vec![format!("{} block(s) were written anew", number(d, "blocks"))]);
            }
            What::Import { paths } => return super::import::run(&paths, client, out).await,
            What::Snapshot => {
                let taken = client.post("/api/metrics/snapshot", &json!({})).await?;
                out.answer(&taken, |t| vec![text(t, "path").to_owned()]);
            }
        }
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_target_is_one_line_with_why_it_is_down() {
        let down = json!({
            "job": "web", "instance": "h2", "url": "http://h2:9100/metrics", "health": "down",
            "last_scrape": "2026-11-23T09:12:30.123Z", "duration_ms": 12, "error": "connection refused",
        });
        let line = "▲ down  web  h2  http://h2:9100/metrics  2026-11-23 09:12:30, took 12 ms  connection refused";
        assert_eq!(target_line(Out::plain(), &down), line);
        let new = json!({
            "job": "web", "instance": "h3", "url": "http://h3:9100/metrics", "health": "unknown", "last_scrape": null,
            "duration_ms": null, "error": null,
        });
        assert_eq!(target_line(Out::plain(), &new), "○ unknown  web  h3  http://h3:9100/metrics");
    }

    #[test]
    fn what_is_listed_is_counted_and_nothing_says_what_to_do() {
        let view =
            json!({"items": [{}], "counts": {"up": 3, "down": 1, "unknown": 0}, "jobs": [{}], "jobs_left_out": 1});
        assert_eq!(about_targets(&view, true), "1 down, 0 not scraped yet, 3 up, in 2 job(s); listed: 1");
        let none = json!({"items": [], "counts": {"up": 0, "down": 0, "unknown": 0}, "jobs": [], "jobs_left_out": 0});
        assert_eq!(about_targets(&none, true), "no target is like this");
        assert!(about_targets(&none, false).contains("metrics.scrape_config_files"));
    }
}
