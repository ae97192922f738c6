//! A storm of alerts as the application takes it, without HTTP and with nobody to tell: microseconds an alert, until all is
//! durable and the record's listeners have it. For a profile of what one alert costs.
//!
//! `cargo run --release -p tenfold-app --example storm_bench -- [ALERTS] [GROUPS] [DIRECTORY]`; the directory chooses the disk.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tenfold_app::alerts::PostedAlert;
use tenfold_app::{App, Caller, Settings, metrics, record};
use tenfold_store::Db;
use tenfold_testkit::{TestClock, TestEntropy};
use tokio_util::sync::CancellationToken;

/// Alerts in one request, as Prometheus sends them.
const BATCH: usize = 64;
const SENDERS: usize = 2;
const ROUTING: &str = "
route: {receiver: default, group_by: [cluster], group_wait: 1s, group_interval: 5s, repeat_interval: 1h}
receivers: [{name: default}]
";

fn batch(first: usize, alerts: usize, groups: usize) -> Result<Vec<PostedAlert>, serde_json::Error> {
    let one = |n: usize| {
        let cluster = format!("c-{}", n % groups);
        let instance = format!("i-{n}");
        let labels = json!({"alertname": "Storm", "cluster": cluster, "instance": instance, "severity": "warning"});
        let annotations = json!({"summary": "something is wrong with this instance"});
        let url = "http://prometheus.example:9090/graph?g0.expr=up";
        let alert = json!({"labels": labels, "annotations": annotations, "generatorURL": url});
        serde_json::from_value::<PostedAlert>(alert)
    };
    (first..alerts.min(first + BATCH)).map(one).collect()
}

async fn send(app: App, batches: Vec<Vec<PostedAlert>>) -> Result<(), tenfold_types::Fault> {
    for batch in batches {
        app.alerts_receive(&Caller::system(), batch).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut number = |or: usize| args.next().map_or(Ok(or), |text| text.parse::<usize>());
    let (alerts, groups) = (number(10_000)?, number(100)?.max(1));
    let dir = match args.next() {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
    let db = Db::open_sqlite(dir.path().join("state.db"), tenfold_testkit::sealer()).await?;
    let metrics = metrics::State::open(&settings)?;
    // The clock stands, so that no group is looked at meanwhile.
    let app = App::new(db, Arc::new(TestClock::default()), Arc::new(TestEntropy::default()), settings, metrics);
    tenfold_app::load(&app).await?;
    app.routing_put(&Caller::system(), ROUTING, false).await?;
    let stop = CancellationToken::new();
    let listening = tokio::spawn(record::run(app.clone(), stop.clone()));
    let first = app.events_after(0, 1_000).await?.last().map_or(0, |event| event.seq);
    let mut of_senders = vec![Vec::new(); SENDERS];
    for (turn, from) in (0..alerts).step_by(BATCH).enumerate() {
        of_senders[turn % SENDERS].push(batch(from, alerts, groups)?);
    }
    let began = Instant::now();
    let senders: Vec<_> = of_senders.into_iter().map(|batches| tokio::spawn(send(app.clone(), batches))).collect();
    for sender in senders {
        sender.await??;
    }
    let taken = began.elapsed();
    let mut told = app.record.subscribe();
    told.wait_for(|seq| *seq >= first + alerts as i64).await?;
    let all = began.elapsed();
    let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / alerts as f64;
    println!("{alerts} alerts in {groups} groups: taken {:.2} s ({:.0} us each)", taken.as_secs_f64(), each(taken));
    println!("told to listeners of the record after {:.2} s ({:.0} us each)", all.as_secs_f64(), each(all));
    stop.cancel();
    listening.await?;
    Ok(())
}
