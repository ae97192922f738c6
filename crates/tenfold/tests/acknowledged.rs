//! The server is killed with SIGKILL while several connections write samples by remote write and delete some: what it has
//! acknowledged is there afterwards, and nothing is that was never sent. `SERVER_KILLS` says how often (20).

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;
mod calls;

use std::collections::BTreeMap;
use std::io::Result;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use bench::{Bench, code, err, text};
use calls::{Caller, REMOTE_WRITE, remote_write};
use tenfold_protocols::remote_write::{Outgoing, compress, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::histogram::{Buckets, Span};
use tenfold_types::{Histogram, HistogramPoint, Point};

const KILLS: usize = 20;
const WRITERS: usize = 3;
/// Float series of one writer, and samples of each in one request.
const SERIES: usize = 5;
const SAMPLES: u64 = 4;
/// Milliseconds between two samples of a series.
const APART_MS: i64 = 2;
/// Samples of a series that is written once and then deleted or kept.
const SHORT: u64 = 5;

/// One connection's share. Samples of its series are 1, 2, 3, ...: a hole is seen in how many there are.
struct Load {
    id: usize,
    base_ms: i64,
    /// Requests that were acknowledged; one more may have been sent.
    acknowledged: u64,
}

impl Load {
    /// The next request, the same each time until it is acknowledged, as a sender repeats it.
    fn body(&self) -> Vec<u8> {
        let id = self.id.to_string();
        let mut body = Writer::default();
        let first = self.acknowledged * SAMPLES + 1;
        let at = |n: u64| self.base_ms + n as i64 * APART_MS;
        let points: Vec<_> = (first..first + SAMPLES).map(|n| Point::new(at(n), n as f64)).collect();
        for series in 0..SERIES {
            let series = series.to_string();
            let labels = [("__name__", "work"), ("series", series.as_str()), ("writer", id.as_str())];
            put_series(&mut body, &Outgoing { labels: &labels, points: &points, ..Outgoing::default() });
        }
        let n = (self.acknowledged + 1) as f64;
        let positive = Buckets { spans: vec![Span { offset: 0, length: 2 }], counts: vec![n, n] };
        let histogram = Arc::new(Histogram { count: 2.0 * n, sum: n, positive, ..Histogram::default() });
        let points = [HistogramPoint { t_ms: at(first), histogram }];
        let labels = [("__name__", "spread"), ("writer", id.as_str())];
        put_series(&mut body, &Outgoing { labels: &labels, histograms: &points, ..Outgoing::default() });
        compress(&body.into_bytes()).unwrap()
    }

    /// Until the server is gone.
    fn work(&mut self, url: &str, token: &str, told: &Sender<()>) {
        let mut caller = Caller::new(url, Some(token));
        while let Ok(reply) = caller.send("POST", "/api/v1/write", &REMOTE_WRITE, &self.body()) {
            assert_eq!((reply.status, reply.text()), (204, String::new()));
            self.acknowledged += 1;
            let _ = told.send(());
        }
    }

    fn check(&self, asker: &mut Caller, samples: &mut u64) {
        let id = self.id;
        let (most, least) = ((self.acknowledged + 1) * SAMPLES, self.acknowledged * SAMPLES);
        let of = |asker: &mut Caller, what: &str, name: &str| {
            values(asker, &format!("{what}({name}{{writer=\"{id}\"}}[2h])"))
        };
        let counts = of(asker, "count_over_time", "work");
        let (last, sums) = (of(asker, "max_over_time", "work"), of(asker, "sum_over_time", "work"));
        assert_eq!(counts.len(), if least == 0 { counts.len() } else { SERIES }, "writer {id}");
        for (series, count) in &counts {
            let n = *count as u64;
            assert!((least..=most).contains(&n), "{series}: {n} samples, {least} were acknowledged, {most} sent");
            assert_eq!((last[series], sums[series]), (*count, count * (count + 1.0) / 2.0), "{series} has holes");
            *samples += n;
        }
        let histograms = of(asker, "count_over_time", "spread").into_values().next().unwrap_or_default() as u64;
        assert!((self.acknowledged..=self.acknowledged + 1).contains(&histograms), "{histograms} histograms of {id}");
        if histograms > 0 {
            let newest = values(asker, &format!("histogram_sum(last_over_time(spread{{writer=\"{id}\"}}[2h]))"));
            assert_eq!(newest.into_values().next(), Some(histograms as f64), "the newest histogram of {id}");
        }
    }
}

/// Writes short series and deletes every second one.
#[derive(Default)]
struct Deleter {
    base_ms: i64,
    /// Series that were written, and whether the deletion of one was acknowledged.
    kept: u64,
    deleted: u64,
}

impl Deleter {
    fn next(&self) -> u64 {
        self.kept + self.deleted
    }

    fn round(&mut self, writes: &mut Caller, deletes: &mut Caller) -> Result<()> {
        let id = self.next().to_string();
        let points = (0..SHORT).map(|n| Point::new(self.base_ms + self.next() as i64 * 20 + n as i64, 1.0)).collect();
        let body = remote_write(&[(vec![("__name__", "short"), ("id", &id)], points)]);
        let reply = writes.send("POST", "/api/v1/write", &REMOTE_WRITE, &body)?;
        assert_eq!((reply.status, reply.text()), (204, String::new()), "short series {id}");
        if self.next().is_multiple_of(2) {
            self.kept += 1;
            return Ok(());
        }
        let selector = format!("short{{id=\"{id}\"}}");
        let reply = deletes.form("/api/v1/admin/tsdb/delete_series", &[("match[]", &selector)])?;
        assert_eq!(reply.status, 204, "{}", reply.text());
        self.deleted += 1;
        Ok(())
    }

    fn work(&mut self, url: &str, sender: &str, admin: &str, told: &Sender<()>) {
        let (mut writes, mut deletes) = (Caller::new(url, Some(sender)), Caller::new(url, Some(admin)));
        while self.round(&mut writes, &mut deletes).is_ok() {
            let _ = told.send(());
        }
    }

    fn check(&self, asker: &mut Caller) {
        let found = values(asker, "count_over_time(short[2h])");
        let label = |id: u64| format!("{{\"id\":\"{id}\"}}");
        for id in 0..self.next() {
            let wanted = id.is_multiple_of(2).then_some(SHORT as f64);
            assert_eq!(found.get(&label(id)).copied(), wanted, "short series {id} of {}", self.next());
        }
    }
}

/// The values of an instant query, by labels.
fn values(asker: &mut Caller, query: &str) -> BTreeMap<String, f64> {
    let reply = asker.form("/api/v1/query", &[("query", query)]).unwrap();
    assert_eq!(reply.status, 200, "{query}: {}", reply.text());
    let answer = reply.json();
    let rows = answer["data"]["result"].as_array().unwrap();
    rows.iter().map(|r| (r["metric"].to_string(), r["value"][1].as_str().unwrap().parse().unwrap())).collect()
}

/// Waits for so many acknowledgements.
fn hear(told: &Receiver<()>, count: usize) {
    for _ in 0..count {
        told.recv_timeout(std::time::Duration::from_mins(1)).expect("an acknowledgement within a minute");
    }
}

#[test]
fn what_is_acknowledged_survives_kill_9_under_load() {
    let kills = std::env::var("SERVER_KILLS").map_or(KILLS, |text| text.parse().expect("a whole number"));
    let mut b = Bench::start();
    b.set_up();
    let token = |args: &[&str]| {
        let out = b.run(&[&["token", "create"][..], args].concat());
        assert_eq!(code(&out), 0, "{}", err(&out));
        text(&out).trim().to_owned()
    };
    let sender = token(&["sender", "--kind", "metrics"]);
    let admin = token(&["admin", "--role", "admin"]);
    let mut asker = Caller::new(&b.url, Some(&admin));
    let now = asker.form("/api/v1/query", &[("query", "time()")]).unwrap().json();
    let base_ms = (now["data"]["result"][0].as_f64().unwrap() * 1000.0) as i64 - 5 * 60_000;
    let mut writers: Vec<_> = (0..WRITERS).map(|id| Load { id, base_ms, acknowledged: 0 }).collect();
    let mut deleter = Deleter { base_ms, ..Deleter::default() };
    // When the next kill comes; seeded, so that it is the same each time as far as threads allow.
    let mut random = 7u64;
    let mut samples = 0;
    for _ in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let after = 1 + (random >> 33) as usize % 60;
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            let url = b.url.clone();
            for writer in &mut writers {
                let (url, token, tell) = (url.clone(), &sender, tell.clone());
                scope.spawn(move || writer.work(&url, token, &tell));
            }
            let (deleter, tell) = (&mut deleter, tell.clone());
            let (sender, admin) = (&sender, &admin);
            scope.spawn(move || deleter.work(&url, sender, admin, &tell));
            hear(&told, after);
            b.server.kill().unwrap();
        });
        b.kill_and_start();
        let mut asker = Caller::new(&b.url, Some(&admin));
        samples = 0;
        for writer in &writers {
            writer.check(&mut asker, &mut samples);
        }
        deleter.check(&mut asker);
    }
    let requests: u64 = writers.iter().map(|w| w.acknowledged).sum();
    println!(
        "{kills} kills under load: {requests} requests with {samples} samples and {requests} histograms, {} deletions, \
         nothing acknowledged was lost",
        deleter.deleted
    );
    assert!(requests > kills as u64 && deleter.deleted > 0);
}
