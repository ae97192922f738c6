//! Real traffic for the demo: requests from five hundred users, round robin over the addresses the hosts report.
//! The load goes on while the server is down, to the addresses last known, as visitors' would.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::client::Client;

const USERS: u64 = 500;
/// Requests under way at once; more are not started, as visitors who see a slow page stop clicking.
const OPEN_MAX: usize = 200;
const REQUEST_MS_MAX: u64 = 5_000;
const REFRESH_MS: u64 = 1_000;
const PHOTO_BYTES: usize = 4 * 1024;

/// Runs until stopped.
pub async fn run(client: Client, requests_per_second: u32, stop: CancellationToken) {
    let addresses: Arc<RwLock<Vec<String>>> = Arc::default();
    let refresh = tokio::spawn(refresh(client, addresses.clone(), stop.clone()));
    let Ok(http) = reqwest::Client::builder().timeout(Duration::from_millis(REQUEST_MS_MAX)).build() else { return };
    let open = Arc::new(AtomicUsize::new(0));
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / u64::from(requests_per_second.max(1))));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut dice = Dice(7);
    let mut turn = 0usize;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        turn += 1;
        let address = {
            let known = addresses.read();
            if known.is_empty() {
                continue;
            }
            known[turn % known.len()].clone()
        };
        if open.fetch_add(1, Ordering::Relaxed) >= OPEN_MAX {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let request = request(&http, &address, &mut dice);
        let open = open.clone();
        tokio::spawn(async move {
            if let Ok(response) = request.send().await {
                let _ = response.bytes().await;
            }
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
    let _ = refresh.await;
}

/// Most people look, a quarter bring a photo.
fn request(http: &reqwest::Client, address: &str, dice: &mut Dice) -> reqwest::RequestBuilder {
    let user = 1 + dice.below(USERS);
    match dice.below(100) {
        0..=9 => http.get(format!("http://{address}/")),
        10..=74 => http.get(format!("http://{address}/photos?user=u-{user}&page={}", dice.below(3))),
        _ => http.post(format!("http://{address}/upload?user=u-{user}")).body(vec![0u8; PHOTO_BYTES]),
    }
}

/// Keeps the list of addresses that answer for the service.
async fn refresh(client: Client, addresses: Arc<RwLock<Vec<String>>>, stop: CancellationToken) {
    loop {
        if let Ok(hosts) = client.get("/api/hosts").await {
            let fresh = running(&hosts);
            if !fresh.is_empty() {
                *addresses.write() = fresh;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(REFRESH_MS)) => {}
        }
    }
}

/// `host:port` of every release that runs.
fn running(hosts: &serde_json::Value) -> Vec<String> {
    let items = hosts["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .flat_map(|host| host["releases"].as_array().map(Vec::as_slice).unwrap_or_default())
        .filter(|release| release["state"] == "running")
        .filter_map(|release| release["address"].as_str())
        .map(ToString::to_string)
        .collect()
}

/// A small generator (SplitMix64): the same visits every time, which is all a demo needs.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_running_releases_take_traffic() {
        let hosts = serde_json::json!({"items": [
            {"name": "host-1", "releases": [{"state": "running", "address": "127.0.0.1:9001"}, {"state": "stopped", "address": "127.0.0.1:9000"}]},
            {"name": "host-2", "releases": [{"state": "unhealthy", "address": "127.0.0.1:9002"}]},
            {"name": "host-3", "releases": []},
        ]});
        assert_eq!(running(&hosts), ["127.0.0.1:9001"]);
        assert!(running(&serde_json::json!({})).is_empty());
    }

    #[test]
    fn the_dice_reach_every_user() {
        let mut dice = Dice(7);
        let seen: std::collections::BTreeSet<u64> = (0..20_000).map(|_| dice.below(USERS)).collect();
        assert_eq!(seen.len() as u64, USERS);
    }
}
