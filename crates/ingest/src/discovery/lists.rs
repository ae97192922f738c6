//! Lists of targets behind an address, in JSON.

use std::time::Duration;

use tenfold_app::App;
use tenfold_scrape::{GROUPS_BYTES_MAX, HttpSd, parse_groups};
use tokio_util::sync::CancellationToken;

use super::Trouble;
use crate::client::Client;

const KIND: &str = "http_sd";

fn place(sd: &HttpSd) -> String {
    format!("{KIND} {}", sd.url)
}

pub(super) fn looks(all: &[HttpSd], from: &str) -> bool {
    all.iter().any(|sd| place(sd) == from)
}

pub(super) async fn follow(app: App, job: String, sd: HttpSd, stop: CancellationToken) {
    let client = Client::new(&sd.client);
    let from = place(&sd);
    let mut tick = tokio::time::interval(Duration::from_millis(sd.refresh_ms));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let list = tokio::select! {
            () = stop.cancelled() => return,
            list = client.list(&sd.url, sd.refresh_ms, GROUPS_BYTES_MAX) => list,
        };
        match list.and_then(|body| parse_groups(&body, true).map_err(|e| e.to_string())) {
            Ok(mut groups) => {
                for group in &mut groups {
                    group.labels.set("__meta_url", sd.url.as_str());
                }
                trouble.ends(&from);
                app.metrics.set_found(&job, &from, groups);
            }
            Err(reason) => trouble.fails(&app, &job, KIND, &from, reason),
        }
    }
}
